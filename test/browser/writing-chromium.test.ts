/** A message between box and conversation: tests that Playwright can run in Chromium only. */
import { expect } from "vitest";
import { inRoom, say, sent, shows, texts } from "./browser.js";

const test = inRoom();

test("a sent message appears once when the poll is faster than the reply", async ({ ann }) => {
  let open = () => {};
  await ann.route("**/put_post/**", async (route) => {
    const response = await route.fetch();
    await new Promise<void>((resolve) => {
      open = resolve;
    });
    await route.fulfill({ response });
  });
  await say(ann, "poll first");
  await shows(ann, "poll first");
  const visible = ann.locator("#scroller li:not([hidden]) > p", { hasText: "poll first" });
  expect(await visible.count()).toBe(1);
  expect(await ann.locator("#outbox > li").count()).toBe(1);
  open();
  await sent(ann);
  expect(await visible.count()).toBe(1);
});

test("a sent message is kept once when a reload cut it off", async ({ ann }) => {
  // The server keeps it, and its reply is lost.
  const kept = new Promise<void>((resolve) => {
    void ann.route("**/put_post/**", (route) => route.fetch().then(() => resolve()));
  });
  await say(ann, "cut off");
  await kept;
  await ann.unroute("**/put_post/**");
  await ann.reload();
  await shows(ann, "cut off");
  await sent(ann);
  expect((await texts(ann)).filter((text) => text === "cut off")).toHaveLength(1);
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
