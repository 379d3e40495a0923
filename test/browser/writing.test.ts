/** The message box, and messages on their way into the conversation. More of it is in engines/writing.test.ts. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { connected, enter, goLive, hold, inRoom, say, sent, shows } from "./browser.js";

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
  const polled = page.waitForRequest("**/get_post/**");
  await enter(page, server.url, me);
  // The script runs, and will send the message.
  await polled;
  await say(page, "reply first");
  await page.waitForSelector("#outbox > li:not(.pending)");
  expect(await timesSeen(page, "reply first")).toBe(1);
  open();
  await shows(page, "reply first");
  await sent(page);
  expect(await timesSeen(page, "reply first")).toBe(1);
});

test("a sent message appears once when the poll is faster than the reply, and twice when it is sent twice", async ({
  ann,
}) => {
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
  await ann.unroute(POSTS);
  await say(ann, "poll first");
  await ann.waitForFunction(() => document.querySelectorAll("#messages li.own").length === 2);
  await sent(ann);
  expect(await timesSeen(ann, "poll first")).toBe(2);
});

test("a sent message is kept and shown once when a reload cut it off", async ({ ann }) => {
  let posts = 0;
  let open = () => {};
  // The server keeps it, and its reply is lost. The reply to the second attempt comes late.
  const kept = new Promise<void>((resolve) => {
    void ann.route(POSTS, (route) => {
      open = () => void route.continue();
      if (++posts === 1) void route.fetch().then(() => resolve());
    });
  });
  await say(ann, "`cut` off");
  await kept;
  await ann.reload();
  await shows(ann, "cut off");
  await connected(ann);
  await expect.poll(() => posts).toBe(2);
  expect(await ann.locator("#outbox > li").count()).toBe(1);
  expect(await timesSeen(ann, "cut off")).toBe(1);
  open();
  await sent(ann);
  expect(await timesSeen(ann, "cut off")).toBe(1);
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

test("after the network comes back, a pending and a failed message leave within a second of the poll", async ({
  page,
  server,
  me,
}) => {
  await page.clock.install();
  await goLive(page, server.url, me);
  await page.clock.pauseAt(new Date(Date.now() + 3_600_000));
  await connected(page);
  await page.context().setOffline(true);
  while ((await page.locator("#status.waiting").count()) === 0) await page.clock.runFor(1000);
  await say(page, "after a long time");
  while ((await page.locator("#outbox .failed").count()) === 0) await page.clock.runFor(1000);
  const buttons = page.locator("#outbox button:visible");
  expect(await buttons.allTextContents()).toEqual(["Send again", "Delete"]);
  await say(page, "from the tunnel");
  // The poll and the post are in long pauses now.
  for (let second = 0; second < 25; second++) await page.clock.runFor(1000);
  expect(await page.textContent("#outbox .pending > p")).toBe("from the tunnel");
  await page.context().setOffline(false);
  await page.waitForFunction(() => navigator.onLine);
  // The page's clock is stopped but for these two seconds. A wake-up ends a pause after one second at the earliest.
  await page.clock.runFor(1000);
  await connected(page);
  await page.clock.runFor(1000);
  await shows(page, "from the tunnel");
  await shows(page, "after a long time");
  await sent(page);
});

test("without dvh and field-sizing, the box stays in view, the page follows, and the box has no scrollbar", async ({
  page,
  server,
  me,
  ben,
}) => {
  await page.route("**/chat.css", async (route) => {
    const response = await route.fetch();
    const style = await response.text();
    const body = style.replace("(height: 1dvh)", "(height: 1no)").replace("field-sizing: content;", "");
    if (body.length !== style.length - 23) throw new Error("the style has changed");
    await route.fulfill({ response, body });
  });
  await goLive(page, server.url, me);
  for (let n = 0; n < 40; n++) await ben.post(`line ${n}`);
  await shows(page, "line 39");
  for (const lines of ["", "one\ntwo\nthree"]) {
    await page.fill("#message", lines);
    const { below, hidden } = await page.$eval("#message", (box) => ({
      below: box.getBoundingClientRect().bottom - innerHeight,
      hidden: box.scrollHeight - box.clientHeight,
    }));
    expect(below).toBeLessThan(0);
    expect(hidden).toBeLessThanOrEqual(0);
  }
  expect(await page.getByText("line 39", { exact: true }).isVisible()).toBe(true);
  const surplus = await page.$eval("#scroller", (scroller) => scroller.scrollHeight - scroller.clientHeight);
  expect(surplus).toBeGreaterThan(0);
});
