/** The line "New messages": it marks what arrived while nobody looked at the end of the conversation. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ben: Person;
let ann: Page;
let count = 0;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0"),
    openBrowser(),
  ]);
  ben = await Person.login(server.url, "Ben");
  for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
});
beforeEach(async () => {
  ann = await join(browser, server.url, `Ann ${++count}`);
});
afterEach(() => ann.context().close());
afterAll(async () => {
  ben.close();
  await browser.close();
  await server.stop();
});

/** Hides the tab, or shows it. A headless tab is always visible, so the page is told so. */
const setHidden = (hidden: boolean) =>
  ann.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);

/** Posts a message of Ben and waits for it. */
async function arrive(text: string): Promise<void> {
  await ben.post(text);
  await shows(ann, text);
}

/** Returns the message below each line "New messages". */
const divided = () =>
  ann.$$eval("#scroller li.new", (lines) =>
    lines.map((li) => [li.textContent, li.nextElementSibling?.querySelector("p")?.textContent]),
  );

const scrollTo = (position: number) =>
  ann.$eval("#scroller", (scroller, position) => scroller.scrollTo(0, position), position);

test("a line is above the first message that arrived while the tab was hidden", async () => {
  await arrive("seen");
  await setHidden(true);
  await arrive("unseen");
  await arrive("unseen too");
  await setHidden(false);
  expect(await divided()).toEqual([["New messages", "unseen"]]);
  // The name is shown again below the line.
  expect(await ann.locator("li.new + li:not(.more)").count()).toBe(1);
  expect(await ann.locator("button.newer").isVisible()).toBe(false);
  await arrive("live");
  expect(await divided()).toEqual([["New messages", "unseen"]]);
});

test("the line is removed when the tab is hidden again after it was seen, and set anew", async () => {
  await setHidden(true);
  await arrive("first time away");
  await setHidden(false);
  await setHidden(true);
  expect(await divided()).toEqual([]);
  await arrive("second time away");
  await setHidden(false);
  expect(await divided()).toEqual([["New messages", "second time away"]]);
});

test("the line is removed when the user sends", async () => {
  await setHidden(true);
  await arrive("a question");
  await setHidden(false);
  await say(ann, "an answer");
  expect(await divided()).toEqual([]);
});

test("a line marks what arrives while the user reads further up, and what is read does not move", async () => {
  const read = ann.getByText("line 50", { exact: true });
  const top = async () => (await read.boundingBox())?.y ?? 0;
  // Browsers round positions to whole pixels.
  const expectSteady = async (before: number) =>
    expect(Math.abs((await top()) - before)).toBeLessThanOrEqual(1);
  await scrollTo(-400);
  let before = await top();
  await arrive("below the view");
  await arrive("more below");
  expect(await divided()).toEqual([["New messages", "below the view"]]);
  await expectSteady(before);
  expect(await ann.textContent("button.newer")).toBe("2 new messages");
  await ann.click("button.newer");
  expect(await divided()).toEqual([["New messages", "below the view"]]);
  // Everything was seen. The next message that is not seen moves the line, and nothing else.
  await scrollTo(-380);
  before = await top();
  await arrive("the next one");
  expect(await divided()).toEqual([["New messages", "the next one"]]);
  await expectSteady(before);
});

test("no line is shown for notices, for the user's own messages, and for what was seen", async () => {
  await arrive("looked at");
  await setHidden(true);
  const cat = await Person.login(server.url, `Cat ${count}`);
  await cat.batch("since=now&wait=0");
  await ann.getByText(`Cat ${count} joined`).waitFor();
  const tab = await ann.context().newPage();
  await tab.goto(ann.url());
  await say(tab, "from another tab");
  await shows(ann, "from another tab");
  await setHidden(false);
  expect(await divided()).toEqual([]);
  cat.close();
});
