/** The message box, and a message on its way into the conversation. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Server, startServer } from "../wire/server.js";
import { enter, join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ann: Page;
let count = 0;
/** The name of this test alone, so that it need not wait for the log-out of the one before. */
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
const outbox = (page: Page) => page.$$eval("#outbox > li", (items) => items.length);

describe("a sent message", () => {
  test("appears at once and is marked until the server has it", async () => {
    ann = await join(browser, server.url, name);
    const { open, opened } = gate();
    await ann.route("**/put_post/**", async (route) => {
      await opened;
      await route.continue();
    });
    await say(ann, "on its way");
    await ann.getByText("Sending…").waitFor();
    expect(await timesSeen(ann, "on its way")).toBe(1);
    open();
    await shows(ann, "on its way");
    await ann.waitForSelector("#outbox > li", { state: "detached" });
    expect(await timesSeen(ann, "on its way")).toBe(1);
  });

  test("appears once when the reply is faster than the poll", async () => {
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

  test("appears twice when it was sent twice", async () => {
    ann = await join(browser, server.url, name);
    await say(ann, "again and again");
    await say(ann, "again and again");
    await ann.waitForFunction(() => document.querySelectorAll("#messages li.own").length >= 2);
    await ann.waitForFunction(() => document.querySelectorAll("#outbox > li").length === 0);
    expect(await timesSeen(ann, "again and again")).toBe(2);
  });

  test("can be deleted after it was refused, and the box has the focus", async () => {
    ann = await join(browser, server.url, name);
    await ann.route("**/put_post/**", (route) =>
      route.fulfill({ status: 413, json: { error: { code: "too_large", message: "no" } } }),
    );
    await say(ann, "never mind");
    await ann.click("text=Delete");
    expect(await outbox(ann)).toBe(0);
    expect(await ann.evaluate(() => document.activeElement?.id)).toBe("message");
  });
});

describe("the message box", () => {
  test("sends on Enter, and inserts a line on Shift+Enter", async () => {
    ann = await join(browser, server.url, name);
    await ann.focus("#message");
    await ann.keyboard.type("one");
    await ann.keyboard.press("Shift+Enter");
    await ann.keyboard.type("two");
    await ann.keyboard.press("Enter");
    await shows(ann, "one\ntwo");
    expect(await ann.inputValue("#message")).toBe("");
  });

  test("keeps a draft over a reload, and forgets it once it was sent", async () => {
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
        [document.documentElement, ...document.querySelectorAll("#scroller, #scroller p[dir]")].filter(
          ({ scrollWidth, clientWidth }) => scrollWidth > clientWidth,
        ).length,
    );
    expect(overflow).toBe(0);
  });

  test("removes the control characters of a text from a terminal", async () => {
    ann = await join(browser, server.url, name);
    await say(ann, "\u001B[31mred\u001B[0m\tand\r\nline");
    await shows(ann, "[31mred[0m\tand\nline");
  });

  test("sends nothing when it is empty, and the browser complains about nothing", async () => {
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
