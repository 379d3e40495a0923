/** Writing in the room: what becomes of a message between the box and the conversation. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Server, startServer } from "../wire/server.js";
import { enter, join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ann: Page;
let count = 0;
/** A name of this test's own: nobody waits until the one before is away. */
let name: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0"),
    openBrowser(),
  ]);
});
beforeEach(() => {
  name = `Ann ${++count}`;
});
afterEach(async () => {
  await ann.unrouteAll({ behavior: "ignoreErrors" });
  await ann.context().close();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A gate that requests are held at until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** How often a text can be seen, in the conversation or on its way. */
function timesSeen(page: Page, text: string): Promise<number> {
  return page.$$eval(
    "#scroller li:not([hidden]) > p",
    (found, wanted) => found.filter((p) => p.textContent === wanted).length,
    text,
  );
}
const outbox = (page: Page) => page.$$eval("#outbox > li", (items) => items.length);

describe("what one says", () => {
  test("is there at once, marked until it is kept", async () => {
    ann = await join(browser, server.url, name);
    const { open, opened } = gate();
    await ann.route("**/put_post/**", async (route) => {
      await opened;
      await route.continue();
    });
    await say(ann, "on its way");
    expect(await ann.textContent("#outbox .pending > span")).toBe("Sending…");
    expect(await timesSeen(ann, "on its way")).toBe(1);
    open();
    await shows(ann, "on its way");
    await ann.waitForSelector("#outbox > li", { state: "detached" });
    expect(await timesSeen(ann, "on its way")).toBe(1);
  });

  test("is seen once when the poll is faster than the answer", async () => {
    ann = await join(browser, server.url, name);
    const { open, opened } = gate();
    await ann.route("**/put_post/**", async (route) => {
      const response = await route.fetch();
      await opened;
      await route.fulfill({ response });
    });
    await say(ann, "poll first");
    await shows(ann, "poll first");
    expect(await timesSeen(ann, "poll first")).toBe(1);
    expect(await outbox(ann)).toBe(1);
    open();
    await ann.waitForSelector("#outbox > li", { state: "detached" });
    expect(await timesSeen(ann, "poll first")).toBe(1);
  });

  test("is seen once when the answer is faster than the poll", async () => {
    ann = await (await browser.newContext()).newPage();
    const { open, opened } = gate();
    await ann.route("**/get_post/**", async (route) => {
      const response = await route.fetch();
      await opened;
      await route.fulfill({ response });
    });
    await enter(ann, server.url, name);
    await say(ann, "answer first");
    await ann.waitForSelector("#outbox > li:not(.pending)");
    expect(await timesSeen(ann, "answer first")).toBe(1);
    open();
    await shows(ann, "answer first");
    await ann.waitForSelector("#outbox > li", { state: "detached" });
    expect(await timesSeen(ann, "answer first")).toBe(1);
  });

  test("twice, is there twice", async () => {
    ann = await join(browser, server.url, name);
    await say(ann, "again and again");
    await say(ann, "again and again");
    await ann.waitForFunction(() => document.querySelectorAll("#messages li.own").length >= 2);
    await ann.waitForFunction(() => document.querySelectorAll("#outbox > li").length === 0);
    expect(await timesSeen(ann, "again and again")).toBe(2);
  });

  test("and is refused, can be deleted, and one writes on", async () => {
    ann = await join(browser, server.url, name);
    await ann.route("**/put_post/**", (route) =>
      route.fulfill({ status: 413, json: { error: { code: "too_large", message: "no" } } }),
    );
    await say(ann, "never mind");
    await ann.click("text=Delete");
    expect(await outbox(ann)).toBe(0);
    expect(await ann.evaluate(() => document.activeElement?.id)).toBe("message");
  });

  test("but was cut off by a reload, is kept once", async () => {
    ann = await join(browser, server.url, name);
    const { opened } = gate();
    // The server keeps it, and the answer never comes.
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
});

describe("the box", () => {
  test("sends on Enter, and makes a new line on Shift+Enter", async () => {
    ann = await join(browser, server.url, name);
    await ann.focus("#message");
    await ann.keyboard.type("one");
    await ann.keyboard.press("Shift+Enter");
    await ann.keyboard.type("two");
    await ann.keyboard.press("Enter");
    await shows(ann, "one\ntwo");
    expect(await ann.inputValue("#message")).toBe("");
  });

  test("leaves Enter to an input method that is composing", async () => {
    ann = await join(browser, server.url, name);
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

  test("keeps what is written over a reload, and forgets what was sent", async () => {
    ann = await join(browser, server.url, name);
    await ann.fill("#message", "half a thou");
    await ann.reload();
    expect(await ann.inputValue("#message")).toBe("half a thou");
    await ann.press("#message", "Enter");
    await shows(ann, "half a thou");
    await ann.reload();
    expect(await ann.inputValue("#message")).toBe("");
  });

  /** Pastes a text into the box. `fill` and `type` do not obey `maxlength`. */
  const paste = (text: string) => {
    return ann.$eval(
      "#message",
      (box, text) => {
        (box as HTMLTextAreaElement).select();
        document.execCommand("insertText", false, text);
      },
      text,
    );
  };
  const validation = () => ann.$eval("#message", (box) => (box as HTMLTextAreaElement).validationMessage);

  test("keeps a long paste whole, counts from 1,800 characters on, and says the true length", async () => {
    ann = await join(browser, server.url, name);
    await ann.focus("#message");
    await paste("x".repeat(1799));
    expect(await ann.isVisible("#count")).toBe(false);
    await paste("😀".repeat(1800));
    expect(await ann.textContent("#count")).toBe("1,800 / 2,000");
    expect(await ann.isVisible("#count")).toBe(true);
    const text = `${"y".repeat(9998)}😀z`;
    await paste(text);
    expect(await ann.inputValue("#message")).toBe(text);
    expect(await ann.textContent("#count.wrong")).toBe("10,000 / 2,000");
    await ann.press("#message", "Enter");
    expect(await validation()).toBe("A message has at most 2,000 characters; this one has 10,000.");
    expect(await ann.inputValue("#message")).toBe(text);
    await paste("short");
    expect(await ann.isVisible("#count")).toBe(false);
    expect(await validation()).toBe("");
    await ann.press("#message", "Enter");
    await shows(ann, "short");
  });

  test("sends the longest message, which fits a screen of 320 px", async () => {
    ann = await join(browser, server.url, name);
    await ann.setViewportSize({ width: 320, height: 560 });
    const longest = "w".repeat(2000);
    await say(ann, longest);
    await shows(ann, longest);
    const overflow = await ann.evaluate(
      () =>
        [document.documentElement, ...document.querySelectorAll("#scroller, #scroller p")].filter(
          ({ scrollWidth, clientWidth }) => scrollWidth > clientWidth,
        ).length,
    );
    expect(overflow).toBe(0);
  });

  test("takes the control characters out of what is pasted from a terminal", async () => {
    ann = await join(browser, server.url, name);
    await say(ann, "\u001B[31mred\u001B[0m\tand\r\nline");
    await shows(ann, "[31mred[0m\tand\nline");
  });

  test("sends nothing when there is nothing", async () => {
    ann = await join(browser, server.url, name);
    const posts: string[] = [];
    ann.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
    for (const empty of ["", "  \n "]) {
      await say(ann, empty);
      await ann.click("#composer button");
      expect(await validation()).toBe("");
    }
    await say(ann, "something");
    await shows(ann, "something");
    expect(posts.length).toBe(1);
  });
});
