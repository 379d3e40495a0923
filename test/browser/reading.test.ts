/** Reading in the room: the conversation, who is here, and what the page tells of itself. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, enter, join, openBrowser, say, shows, texts } from "./browser.js";

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
  test("looks the same when the page is loaded again as it did live", async () => {
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

  test("shows times as they are where the reader is", async () => {
    const context = await browser.newContext({ timezoneId: "Asia/Kathmandu", locale: "en-GB" });
    ann = await context.newPage();
    await ben.post("what time is it?");
    await enter(ann, server.url, name);
    const [shown, at] = await ann.$eval("#messages > li:last-child time, #messages > li time", (time) => [
      time.textContent,
      (time as HTMLTimeElement).dateTime,
    ]);
    const options = { timeZone: "Asia/Kathmandu", hour: "numeric", minute: "2-digit" } as const;
    expect(shown).toBe(new Date(at ?? "").toLocaleTimeString("en-GB", options).replace(/^0/, ""));
  });

  test.each([
    ["en-US", /^9:03\sAM$/, /^Friday, January 2, 2026\D+9:03:04\sAM$/],
    ["en-GB", /^9:03$/, /^Friday,? 2 January 2026\D+0?9:03:04$/],
    ["zh-CN", /^9:03$/, /^2026年1月2日星期五\s*0?9:03:04$/],
  ])("in %s, a time looks like %s, and the full date is its title", async (locale, clock, full) => {
    const context = await browser.newContext({ timezoneId: "Europe/Paris", locale });
    ann = await context.newPage();
    await ann.route("**/get_post/**", async (route) => {
      const response = await route.fetch();
      const batch: { messages: { at: number }[] } = await response.json();
      for (const message of batch.messages) message.at = Date.UTC(2026, 0, 2, 8, 3, 4);
      await route.fulfill({ response, json: batch });
    });
    await enter(ann, server.url, name);
    await connected(ann);
    await ben.post(`live for ${name}`);
    await shows(ann, `live for ${name}`);
    const time = ann.locator("#messages > li:last-child > time");
    expect(await time.textContent()).toMatch(clock);
    expect(await time.getAttribute("title")).toMatch(full);
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

  test("gives each name a colour of its own, live and after a reload", async () => {
    ann = await join(browser, server.url, name);
    const colours = () =>
      ann.$$eval("#messages > li:not(.notice) > .user", (names) =>
        Object.fromEntries(names.map((name) => [name.textContent, getComputedStyle(name).color])),
      );
    for (const other of ["Cleo", "Dana", "Edith"]) {
      const person = await Person.login(server.url, other);
      await person.post(`I am ${other}`);
      await shows(ann, `I am ${other}`);
      person.close();
    }
    const live = await colours();
    const { Cleo, Dana, Edith } = live;
    expect(new Set([Cleo, Dana, Edith]).size).toBe(3);
    await ann.reload();
    expect(await colours()).toEqual(live);
  });

  test("stays put for who reads further up, and tells how many are new", async () => {
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

  test("tells of a gap", async () => {
    ann = await join(browser, server.url, name);
    await ann.context().setOffline(true);
    for (let n = 0; n < 110; n++) await ben.post(`while you were away ${n}`);
    await ann.context().setOffline(false);
    await shows(ann, "while you were away 109");
    expect(await ann.textContent("#messages > li.gap")).toMatch(/^Some messages are missing here/);
    // What is still kept follows, in order; notices, too, count in the backlog.
    const kept = Array.from({ length: 90 }, (_, n) => `while you were away ${n + 20}`);
    expect((await texts(ann)).slice(-90)).toEqual(kept);
  });
});

describe("the head of the page", () => {
  test("tells who is here, and hears of who comes and goes while one looks", async () => {
    ann = await join(browser, server.url, name);
    await ann.click("summary");
    const names = () => ann.$$eval("#people li", (items) => items.map((li) => li.textContent));
    await ann.waitForFunction(() => document.querySelectorAll("#people li").length > 0);
    expect(await names()).toContain(`${name} (you)`);
    const cat = await Person.login(server.url, "Cat");
    await cat.batch("since=now&wait=0");
    await ann.waitForFunction(() => document.querySelector("#people ul")?.textContent?.includes("Cat"));
    const count = (await names()).length;
    expect(await ann.textContent("summary")).toBe(`${count} here`);
    await cat.ask("logout", { method: "POST" });
    await ann.waitForFunction(() => !document.querySelector("#people ul")?.textContent?.includes("Cat"));
    expect(await ann.textContent("summary")).toBe(`${count - 1} here`);
    cat.close();
  });

  test("counts in the title what was said while nobody looked", async () => {
    ann = await join(browser, server.url, name);
    // A headless page is always looked at, so we say that it is not.
    const look = (hidden: boolean) =>
      ann.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await look(true);
    await ben.post("psst");
    await ben.post("hey");
    await shows(ann, "hey");
    expect(await ann.title()).toBe("(2) holdline");
    await look(false);
    expect(await ann.title()).toBe("holdline");
  });

  test("lets one out, and the name is free", async () => {
    ann = await join(browser, server.url, name);
    await ann.click("text=Log out");
    await ann.waitForURL("**/login");
    const other = await Person.login(server.url, name);
    const cookies = (await ann.context().cookies()).map(({ name }) => name);
    expect(cookies).toEqual([expect.stringMatching(/^holdline-check_/)]);
    await other.ask("logout", { method: "POST" });
    other.close();
  });

  test("says so when the session has ended elsewhere, and leads to the log-in", async () => {
    ann = await join(browser, server.url, name);
    const tab = await ann.context().newPage();
    await tab.goto(ann.url());
    await tab.click("text=Log out");
    await ann.waitForSelector("#status.stopped");
    expect(await ann.textContent("#status")).toBe("You are logged out. Log in again");
    await ann.click("text=Log in again");
    await ann.waitForURL("**/login");
  });
});
