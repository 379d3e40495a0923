/** The message box, and a message on its way into the conversation. More of it is in engines/writing.test.ts. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { enter, hold, inRoom, say, sent, shows } from "./browser.js";

const test = inRoom();
const POSTS = "**/put_post/**";

/** The number of visible messages with a text, in the conversation or on their way. */
const timesSeen = (page: Page, text: string) =>
  page.$$eval(
    "#scroller li:not([hidden]) > p",
    (found, wanted) => found.filter((p) => p.textContent === wanted).length,
    text,
  );

test("a sent message appears once when the reply is faster than the poll", async ({ page, server, me }) => {
  const open = await hold(page, "**/get_post/**");
  await enter(page, server.url, me);
  await say(page, "reply first");
  await page.waitForSelector("#outbox > li:not(.pending)");
  expect(await timesSeen(page, "reply first")).toBe(1);
  open();
  await shows(page, "reply first");
  await sent(page);
  expect(await timesSeen(page, "reply first")).toBe(1);
});

test("a sent message appears once when the poll is faster than the reply", async ({ ann }) => {
  let open = () => {};
  await ann.route(POSTS, async (route) => {
    const response = await route.fetch();
    await new Promise<void>((resolve) => {
      open = resolve;
    });
    await route.fulfill({ response });
  });
  await say(ann, "poll first");
  await shows(ann, "poll first");
  expect(await timesSeen(ann, "poll first")).toBe(1);
  expect(await ann.locator("#outbox > li").count()).toBe(1);
  open();
  await sent(ann);
  expect(await timesSeen(ann, "poll first")).toBe(1);
});

test("a sent message is kept once when a reload cut it off", async ({ ann }) => {
  // The server keeps it, and its reply is lost.
  const kept = new Promise<void>((resolve) => {
    void ann.route(POSTS, (route) => route.fetch().then(() => resolve()));
  });
  await say(ann, "cut off");
  await kept;
  await ann.unroute(POSTS);
  await ann.reload();
  await shows(ann, "cut off");
  await sent(ann);
  expect(await timesSeen(ann, "cut off")).toBe(1);
});

test("a sent message appears twice when it was sent twice", async ({ ann }) => {
  await say(ann, "again and again");
  await say(ann, "again and again");
  await ann.waitForFunction(() => document.querySelectorAll("#messages li.own").length >= 2);
  await sent(ann);
  expect(await timesSeen(ann, "again and again")).toBe(2);
});

test("the longest message fits a screen of 320 px", async ({ ann }) => {
  await ann.setViewportSize({ width: 320, height: 560 });
  const longest = "w".repeat(2000);
  await say(ann, longest);
  await shows(ann, longest);
  const wide = await ann.$$eval("html, #scroller, #scroller p[dir]", (all) =>
    all.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ nodeName }) => nodeName),
  );
  expect(wide).toEqual([]);
});

test("an empty message box sends nothing, and the browser complains about nothing", async ({ ann }) => {
  const posts: string[] = [];
  ann.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
  const complaint = () => ann.$eval("#message", (box) => (box as HTMLTextAreaElement).validationMessage);
  for (const empty of ["", "  \n "]) {
    await say(ann, empty);
    await ann.click("#composer button");
    expect(await complaint()).toBe("");
  }
  await say(ann, "something");
  await shows(ann, "something");
  expect(posts).toHaveLength(1);
});

test("the message box leaves Enter to an input method that is composing", async ({ ann }) => {
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
  expect(posts).toHaveLength(1);
});
