/** One poll for many tabs, with the locks and channels of a real browser, and with crashes. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Running, startChat, until } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { anotherTab, connected, join, openBrowser, say, shows, texts } from "./browser.js";

let running: Running;
let browser: Browser;

beforeAll(async () => {
  [running, browser] = await Promise.all([startChat({ loginRate: 0, postRate: 0 }), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await running.close();
});

/** Opens a browser of a person with `count` tabs. The first one polls while it is open. */
async function tabs(name: string, count: number): Promise<Page[]> {
  const first = await join(browser, running.url, name);
  const all = [first];
  while (all.length < count) all.push(await anotherTab(first));
  return all;
}

test("nine of ten tabs in two browsers show the same 300 messages in order when one is closed in between", async () => {
  const [ann, ben] = await Promise.all([tabs("Ann", 5), tabs("Ben", 5)]);
  await until(() => running.chat.waiting === 2);
  const cat = await Person.login(running.url, "Cat");
  const posted: Promise<string>[] = [];
  for (let n = 0; n < 240; n++) posted.push(cat.post(`Cat ${n}`));
  const writers = [ann[1], ben[2]].flatMap((page) => (page ? [page] : []));
  const written = writers.map(async (page, writer) => {
    for (let n = 0; n < 30; n++) await say(page, `${writer} ${n}`);
  });
  // Ann's tab that polls is closed while messages arrive.
  await Promise.all(writers.map((page, writer) => shows(page, `${writer} 10`)));
  const [killed, ...rest] = ann;
  await killed?.close();
  await Promise.all([...written, ...posted]);
  const survivors = [...rest, ...ben];
  const shown = () => Promise.all(survivors.map(texts));
  for (const page of survivors) {
    await page.waitForFunction(() => document.querySelectorAll("#messages > li:not(.notice)").length >= 300);
  }
  const [reference, ...others] = await shown();
  expect(reference?.length).toBe(300);
  expect(new Set(reference).size).toBe(300);
  for (const other of others) expect(other).toEqual(reference);
  await until(() => running.chat.waiting === 2);
  cat.close();
  await Promise.all(survivors.map((page) => page.close()));
});

test("a tab that crashes while it polls is followed by another", async () => {
  const [crashing, heir] = await tabs("Dan", 2);
  if (!crashing || !heir) throw new Error("no tabs");
  await until(() => running.chat.waiting === 1);
  const devtools = await crashing.context().newCDPSession(crashing);
  // A crashed page sends no reply.
  devtools.send("Page.crash").catch(() => undefined);
  await crashing.waitForEvent("crash");
  const eve = await Person.login(running.url, "Eve");
  await eve.post("is anybody there?");
  await shows(heir, "is anybody there?");
  await until(() => running.chat.waiting === 1);
  eve.close();
  await heir.context().close();
});

test("a person with many tabs joins and leaves once", async () => {
  const hal = await join(browser, running.url, "Hal");
  const [first, ...others] = await tabs("Fay", 3);
  await first?.reload();
  await Promise.all(others.map((page) => page.close()));
  if (first) await connected(first);
  await first?.close();
  const noticed = () =>
    hal.$$eval("#messages > li.notice > p", (found) =>
      found.map((p) => p.textContent).filter((text) => text?.startsWith("Fay")),
    );
  await hal.waitForFunction(() => document.body.textContent?.includes("Fay left"));
  expect(await noticed()).toEqual(["Fay joined", "Fay left"]);
  await hal.context().close();
});

test("each tab polls for itself without locks, as over plain http", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    Object.defineProperty(navigator, "locks", { value: undefined });
  });
  const first = await context.newPage();
  await first.goto(`${running.url}/login`);
  await first.fill("#name", "Gus");
  await first.press("#name", "Enter");
  await connected(first);
  const second = await anotherTab(first);
  await say(first, "from the first");
  await say(second, "from the second");
  for (const page of [first, second]) {
    await shows(page, "from the first");
    await shows(page, "from the second");
  }
  await until(() => running.chat.waiting === 2);
  await context.close();
});
