/** One poll for many tabs, with the locks and channels of a real browser. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Running, startChat, until } from "../wire/chat.js";
import { anotherTab, connected, join, openBrowser, openTabs, say, shows } from "./browser.js";

let running: Running;
let browser: Browser;

beforeAll(async () => {
  [running, browser] = await Promise.all([startChat({ loginRate: 0, postRate: 0 }), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await running.close();
});

test("a person with many tabs joins and leaves once", async () => {
  const hal = await join(browser, running.url, "Hal");
  const [first, ...others] = await openTabs(browser, running.url, "Fay", 3);
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
