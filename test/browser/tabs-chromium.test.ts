/** Many tabs, and a tab that crashes. Firefox opens tabs too slowly for this, and Playwright cannot crash them. */
import { afterAll, beforeAll, expect } from "vitest";
import { type Running, startChat, until } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { anotherTab, inRoom, join, leave, openTabs, say, shows, texts } from "./browser.js";

const test = inRoom();
const COUNT = 120;
let running: Running;

beforeAll(async () => {
  running = await startChat();
});
afterAll(() => running.close());

test("nine of ten tabs in two browsers show the same messages in order when one is closed in between", async ({
  browser,
}) => {
  const [ann, ben] = await Promise.all([
    openTabs(browser, running.url, "Ann", 5),
    openTabs(browser, running.url, "Ben", 5),
  ]);
  await until(() => running.chat.waiting === 2);
  const cat = await Person.login(running.url, "Cat");
  const posted: Promise<string>[] = [];
  for (let n = 0; n < COUNT - 20; n++) posted.push(cat.post(`Cat ${n}`));
  const writers = [ann[1], ben[2]].flatMap((page) => (page ? [page] : []));
  const written = writers.map(async (page, writer) => {
    for (let n = 0; n < 10; n++) await say(page, `${writer} ${n}`);
  });
  // Ann's tab that polls is closed while messages arrive.
  await Promise.all(writers.map((page, writer) => shows(page, `${writer} 3`)));
  const [killed, ...rest] = ann.reverse();
  await killed?.close();
  await Promise.all([...written, ...posted]);
  const survivors = [...rest, ...ben];
  const shown = () => Promise.all(survivors.map(texts));
  for (const page of survivors) {
    await page.waitForFunction(
      (count) => document.querySelectorAll("#messages > li:not(.notice)").length >= count,
      COUNT,
    );
  }
  const [reference, ...others] = await shown();
  expect(reference?.length).toBe(COUNT);
  expect(new Set(reference).size).toBe(COUNT);
  for (const other of others) expect(other).toEqual(reference);
  await until(() => running.chat.waiting === 2);
  cat.close();
  await Promise.all([rest[0], ben[0]].map((page) => page && leave(page)));
});

test("a tab that crashes while it polls is followed by another", async ({ browser }) => {
  const heir = await join(browser, running.url, "Dan");
  const crashing = await anotherTab(heir);
  await until(() => running.chat.waiting === 1);
  const devtools = await crashing.context().newCDPSession(crashing);
  // The answer never comes: who should give it is dead.
  devtools.send("Page.crash").catch(() => undefined);
  await crashing.waitForEvent("crash");
  const eve = await Person.login(running.url, "Eve");
  await eve.post("is anybody there?");
  await shows(heir, "is anybody there?");
  await until(() => running.chat.waiting === 1);
  eve.close();
  await leave(heir);
});
