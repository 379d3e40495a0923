/** Reading in the room: what depends on the engine. The rest is in page.test.ts. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ben: Person;
let ann: Page;
let count = 0;
/** A name of this test's own: nobody waits until the one before is away. */
let name: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0", "--backlog", "100"),
    openBrowser(),
  ]);
  ben = await Person.login(server.url, "Ben");
});
beforeEach(() => {
  name = `Ann ${++count}`;
});
afterEach(async () => {
  await ann.unrouteAll({ behavior: "ignoreErrors" });
  await ann.context().close();
});
afterAll(async () => {
  ben.close();
  await browser.close();
  await server.stop();
});

describe("the conversation", () => {
  test("looks the same live and after a reload", async () => {
    ann = await join(browser, server.url, name);
    await ben.post("see https://example.com/a_(b)?c=1&d=2, ok?\n<b>not bold</b> & 'so' on");
    await ben.post("  spaces  and\n\nan empty line");
    await ben.post("first `a  b`:\n```\n  if (a)\n    b();\n```\nthen <b>`<b>`</b>");
    await say(ann, "مرحبا 你好 👩‍👩‍👧");
    await shows(ann, "مرحبا 你好 👩‍👩‍👧");
    await ben.post("the last");
    await shows(ann, "the last");
    const look = () =>
      ann.$$eval("#messages > li:not(.notice)", (items) =>
        items.slice(-5).map((li) => ({
          id: li.dataset.id,
          classes: li.className,
          name: li.querySelector(".user")?.outerHTML,
          time: li.querySelector("time")?.outerHTML,
          said: li.querySelector("p")?.innerHTML,
        })),
      );
    const live = await look();
    await ann.reload();
    expect(await look()).toEqual(live);
    expect(live[3]?.classes).toBe("own");
  });

  test("shows code in a monospaced font, with its spaces, and a block of code on lines of its own", async () => {
    ann = await join(browser, server.url, name);
    await ben.post("first `a  b`, then\n```\nif (a)\n  iiii\n  MMMM\n```\nthe end");
    await shows(ann, "first a  b, then\nif (a)\n  iiii\n  MMMM\nthe end");
    const codes = ann.locator("#messages > li:last-child code");
    expect(await codes.allTextContents()).toEqual(["a  b", "if (a)\n  iiii\n  MMMM"]);
    const widths = await codes.last().evaluate(({ firstChild }) =>
      [9, 16].map((start) => {
        const range = document.createRange();
        if (firstChild) range.setStart(firstChild, start);
        if (firstChild) range.setEnd(firstChild, start + 4);
        return Math.round(range.getBoundingClientRect().width);
      }),
    );
    expect(widths[0]).toBeGreaterThan(10);
    expect(widths[1]).toBe(widths[0]);
    // Text, a block of three lines, and text: nothing stands beside the block, and no empty line is around it.
    const [p, code] = [ann.locator("#messages > li:last-child > p"), ann.locator("#messages code.block")];
    const height = async (part: typeof p) => (await part.boundingBox())?.height ?? 0;
    const line = await p.evaluate((element) => Number.parseFloat(getComputedStyle(element).lineHeight));
    expect((await height(p)) - (await height(code.last()))).toBeLessThan(3.5 * line);
    expect((await height(p)) - (await height(code.last()))).toBeGreaterThan(2 * line);
  });

  test("keeps its position for a reader further up and counts new messages", async () => {
    ann = await join(browser, server.url, name);
    for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
    await shows(ann, "line 59");
    const scroller = ann.locator("#scroller");
    expect(await scroller.evaluate((element) => Math.round(element.scrollTop))).toBe(0);
    const box = await scroller.boundingBox();
    await ann.mouse.move(100, (box?.y ?? 0) + 100);
    await ann.mouse.wheel(0, -900);
    await ann.waitForFunction(() => (document.querySelector("#scroller")?.scrollTop ?? 0) < -800);
    const read = ann.locator("#messages > li", { hasText: /line 4\d$/ }).first();
    const top = async () => (await read.boundingBox())?.y ?? 0;
    const before = await top();
    await ben.post("news 1");
    await shows(ann, "news 1");
    await ben.post("news 2\nand more of it");
    await shows(ann, "news 2\nand more of it");
    // Browsers round positions to whole pixels.
    expect(Math.abs((await top()) - before)).toBeLessThanOrEqual(1);
    const button = ann.locator("button.newer");
    expect(await button.textContent()).toBe("2 new messages");
    await button.click();
    expect(await scroller.evaluate((element) => Math.round(element.scrollTop))).toBe(0);
    expect(await button.isVisible()).toBe(false);
  });
});
