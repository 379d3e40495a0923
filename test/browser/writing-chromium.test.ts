/** A message between box and conversation: tests that Playwright can run in Chromium only. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../wire/server.js";
import { join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ann: Page;
let count = 0;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});
afterEach(async () => {
  await ann.unrouteAll({ behavior: "ignoreErrors" });
  await ann.context().close();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Holds requests until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** The number of visible messages with a text, in the conversation or on their way. */
function timesSeen(page: Page, text: string): Promise<number> {
  return page.$$eval(
    "#scroller li:not([hidden]) > p",
    (found, wanted) => found.filter((p) => p.textContent === wanted).length,
    text,
  );
}

test("a sent message appears once when the poll is faster than the reply", async () => {
  ann = await join(browser, server.url, `Ann ${++count}`);
  const { open, opened } = gate();
  await ann.route("**/put_post/**", async (route) => {
    const response = await route.fetch();
    await opened;
    await route.fulfill({ response });
  });
  await say(ann, "poll first");
  await shows(ann, "poll first");
  expect(await timesSeen(ann, "poll first")).toBe(1);
  expect(await ann.locator("#outbox > li").count()).toBe(1);
  open();
  await ann.waitForSelector("#outbox > li", { state: "detached" });
  expect(await timesSeen(ann, "poll first")).toBe(1);
});

test("a sent message is kept once when a reload cut it off", async () => {
  ann = await join(browser, server.url, `Ann ${++count}`);
  const { opened } = gate();
  // The server keeps it, and its reply is lost.
  const kept = gate();
  await ann.route("**/put_post/**", async (route) => {
    await route.fetch();
    kept.open();
    await opened;
  });
  await say(ann, "cut off");
  await kept.opened;
  await ann.unroute("**/put_post/**");
  await ann.reload();
  await shows(ann, "cut off");
  await ann.waitForSelector("#outbox > li", { state: "detached" });
  expect(await timesSeen(ann, "cut off")).toBe(1);
});

test("the message box leaves Enter to an input method that is composing", async () => {
  ann = await join(browser, server.url, `Ann ${++count}`);
  const posts: string[] = [];
  ann.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
  const devtools = await ann.context().newCDPSession(ann);
  await ann.focus("#message");
  await devtools.send("Input.imeSetComposition", { text: "ni hao", selectionStart: 6, selectionEnd: 6 });
  await ann.keyboard.press("Enter");
  expect(posts).toEqual([]);
  await devtools.send("Input.insertText", { text: "你好" });
  await ann.keyboard.press("Enter");
  await shows(ann, "你好");
  expect(posts.length).toBe(1);
});
