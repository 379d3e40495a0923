/** The message box, and a message on its way into the conversation. */
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";
import { connected, enter, hold, inRoom, say, sent, shows } from "./browser.js";

const test = inRoom();

/** The number of visible messages with a text, in the conversation or on their way. */
const timesSeen = (page: Page, text: string) =>
  page.$$eval(
    "#scroller li:not([hidden]) > p",
    (found, wanted) => found.filter((p) => p.textContent === wanted).length,
    text,
  );

describe("a sent message", () => {
  test("appears once when the reply is faster than the poll", async ({ page, server, me }) => {
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

  test("appears twice when it was sent twice", async ({ ann }) => {
    await say(ann, "again and again");
    await say(ann, "again and again");
    await ann.waitForFunction(() => document.querySelectorAll("#messages li.own").length >= 2);
    await sent(ann);
    expect(await timesSeen(ann, "again and again")).toBe(2);
  });
});

describe("the message box", () => {
  test("sends on Enter, inserts a line on Shift+Enter, and removes control characters", async ({ ann }) => {
    await ann.focus("#message");
    await ann.keyboard.type("one");
    await ann.keyboard.press("Shift+Enter");
    await ann.keyboard.type("two");
    await ann.keyboard.press("Enter");
    await shows(ann, "one\ntwo");
    expect(await ann.inputValue("#message")).toBe("");
    await say(ann, "\u001B[31mred\u001B[0m\tand\r\nline");
    await shows(ann, "[31mred[0m\tand\nline");
  });

  test("inserts a line on Enter on a phone", async ({ page, server, me }) => {
    // phone.test.ts has a coarse pointer. Playwright has none in Firefox, so here only the script is told so.
    await page.addInitScript(() => {
      const { matchMedia } = globalThis;
      globalThis.matchMedia = (query) => matchMedia(query.replace("(pointer: coarse)", "all"));
    });
    await enter(page, server.url, me);
    await connected(page);
    await page.focus("#message");
    await page.keyboard.type("one");
    await page.keyboard.press("Enter");
    await page.keyboard.type("two");
    expect(await page.inputValue("#message")).toBe("one\ntwo");
    await page.click("#composer button");
    await shows(page, "one\ntwo");
  });

  test("keeps a draft over a reload, and forgets it once it was sent", async ({ ann }) => {
    await ann.fill("#message", "half a thou");
    await ann.reload();
    expect(await ann.inputValue("#message")).toBe("half a thou");
    await ann.press("#message", "Enter");
    await shows(ann, "half a thou");
    await ann.reload();
    expect(await ann.inputValue("#message")).toBe("");
  });

  const validation = (page: Page) =>
    page.$eval("#message", (box) => (box as HTMLTextAreaElement).validationMessage);

  test("keeps a long paste whole, counts from 1,800 characters on, and says the true length", async ({
    ann,
  }) => {
    // `fill` and `type` do not obey `maxlength`.
    const paste = (text: string) =>
      ann.$eval(
        "#message",
        (box, text) => {
          (box as HTMLTextAreaElement).select();
          document.execCommand("insertText", false, text);
        },
        text,
      );
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
    expect(await validation(ann)).toBe("A message has at most 2,000 characters; this one has 10,000.");
    expect(await ann.inputValue("#message")).toBe(text);
    await paste("short");
    expect(await ann.isVisible("#count")).toBe(false);
    expect(await validation(ann)).toBe("");
    await ann.press("#message", "Enter");
    await shows(ann, "short");
  });

  test("sends the longest message, which fits a screen of 320 px", async ({ ann }) => {
    await ann.setViewportSize({ width: 320, height: 560 });
    const longest = "w".repeat(2000);
    await say(ann, longest);
    await shows(ann, longest);
    const wide = await ann.$$eval("html, #scroller, #scroller p[dir]", (all) =>
      all.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ nodeName }) => nodeName),
    );
    expect(wide).toEqual([]);
  });

  test("sends nothing when it is empty, and the browser complains about nothing", async ({ ann }) => {
    const posts: string[] = [];
    ann.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
    for (const empty of ["", "  \n "]) {
      await say(ann, empty);
      await ann.click("#composer button");
      expect(await validation(ann)).toBe("");
    }
    await say(ann, "something");
    await shows(ann, "something");
    expect(posts).toHaveLength(1);
  });
});
