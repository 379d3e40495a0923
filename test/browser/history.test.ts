/** Earlier messages: loaded at the top without moving the view. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, enter, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ben: Person;
let ann: Page;
let count = 0;
/** A name of this test's own. */
let name: string;

const COUNT = 280;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0", "--backlog", "400"),
    openBrowser(),
  ]);
  ben = await Person.login(server.url, "Ben");
  const cat = await Person.login(server.url, "Cat");
  // Groups of seven, some with several lines.
  for (let n = 0; n < COUNT; n++)
    await (n % 14 < 7 ? ben : cat).post(n % 5 === 0 ? `line ${n}\nand\nmore` : `line ${n}`);
  cat.close();
});
beforeEach(async () => {
  name = `Ann ${++count}`;
  ann = await (await browser.newContext({ timezoneId: "UTC" })).newPage();
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

/** Returns the numbers of the lines on the page, in order. */
const lines = (page: Page) =>
  page.$$eval("#scroller li > p[dir]", (all) =>
    all.map((p) => /^line (\d+)/.exec(p.textContent ?? "")?.[1]).filter((n) => n !== undefined),
  );
const upTo = (start: number) => Array.from({ length: COUNT - start }, (_, n) => `${start + n}`);
const first = async (page: Page) => Number((await lines(page))[0]);

/** Scrolls as with a wheel, until the top is near. */
const scrollUp = (page: Page) =>
  page.$eval("#scroller", (scroller) =>
    scroller.scrollTo(0, scroller.clientHeight - scroller.scrollHeight + 300),
  );

/** Returns the top of each line that can be seen. */
const view = (page: Page) =>
  page.$eval("#scroller", (scroller) => {
    const { top, bottom } = scroller.getBoundingClientRect();
    return [...scroller.querySelectorAll("li > p[dir]")].flatMap((p) => {
      const box = p.getBoundingClientRect();
      return box.bottom > top && box.top < bottom ? [`${p.textContent} ${Math.round(box.top)}`] : [];
    });
  });

/** Holds the requests for earlier messages until the returned function is called. */
async function holdHistory(page: Page): Promise<() => void> {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  await page.route("**/history/**", async (route) => {
    await opened;
    await route.continue();
  });
  return open;
}

test("scrolling to the top loads all kept messages in order, and the view does not move", async () => {
  await enter(ann, server.url, name);
  await connected(ann);
  const shown = await first(ann);
  expect(shown).toBeGreaterThan(150);
  const open = await holdHistory(ann);
  await scrollUp(ann);
  await ann.getByText("Loading…").waitFor();
  const before = await view(ann);
  expect(before.length).toBeGreaterThan(5);
  open();
  await ann.waitForFunction(
    (n) => document.querySelectorAll("#scroller li > p[dir]").length > n,
    COUNT - shown,
  );
  expect(await view(ann)).toEqual(before);
  while ((await first(ann)) > 0) {
    const n = (await lines(ann)).length;
    await scrollUp(ann);
    await ann.waitForFunction((n) => document.querySelectorAll("#scroller li > p[dir]").length > n, n);
  }
  expect(await lines(ann)).toEqual(upTo(0));
  await ann.getByText("No earlier messages are kept.").waitFor();
  expect(await ann.locator("#history button").count()).toBe(0);
  // It goes on at the end, live, and knows each message once.
  await say(ann, `the end of ${name}`);
  await shows(ann, `the end of ${name}`);
  expect(await ann.$eval("#scroller", ({ scrollTop }) => Math.round(scrollTop))).toBe(0);
});

test("loaded messages look as if they had always been there, and are not announced as new", async () => {
  // The first half of the messages is of yesterday.
  const yesterday = (text: string) => Number(/^line (\d+)/.exec(text)?.[1] ?? COUNT) < 140;
  await ann.route("**/history/**", async (route) => {
    const response = await route.fetch();
    const body: { messages: { at: number; text: string }[] } = await response.json();
    for (const message of body.messages) if (yesterday(message.text)) message.at -= 86_400_000;
    await route.fulfill({ response, json: body });
  });
  await enter(ann, server.url, name);
  await connected(ann);
  while ((await first(ann)) > 0) {
    const n = (await lines(ann)).length;
    await scrollUp(ann);
    await ann.waitForFunction((n) => document.querySelectorAll("#scroller li > p[dir]").length > n, n);
  }
  const rows = await ann.$$eval("#scroller li:not(.notice)", (items) =>
    items.map((li) => [
      li.classList.contains("day") ? "day" : li.classList.contains("more") ? "more" : "head",
      li.querySelector("p")?.textContent?.split("\n")[0],
    ]),
  );
  const expected: (string | undefined)[][] = [["day", undefined]];
  for (let n = 0; n < COUNT; n++) {
    if (n === 140) expected.push(["day", undefined]);
    expected.push([n % 7 === 0 || n === 140 ? "head" : "more", `line ${n}`]);
  }
  expect(rows.slice(0, expected.length)).toEqual(expected);
  const live = await ann.$$eval("#scroller li > p[dir]", (all) =>
    all
      .filter((p) => p.closest("[role=log], [aria-live]") !== null)
      .map((p) => Number(/^line (\d+)/.exec(p.textContent ?? "")?.[1] ?? 999)),
  );
  expect(Math.min(...live)).toBeGreaterThan(150);
});

test("a failure shows a button, and nothing is asked again before it is clicked", async () => {
  let asked = 0;
  await ann.route("**/history/**", (route) => {
    asked++;
    return route.abort();
  });
  await enter(ann, server.url, name);
  await connected(ann);
  const shown = await first(ann);
  await scrollUp(ann);
  await ann.getByText("Earlier messages could not be loaded.").waitFor();
  for (let n = 0; n < 5; n++) {
    await ann.$eval("#scroller", (scroller) => scroller.scrollTo(0, 0));
    await scrollUp(ann);
    await ann.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
  }
  expect(asked).toBe(1);
  await ann.click("text=Try again");
  await expect.poll(() => asked).toBe(2);
  await ann.unroute("**/history/**");
  await ann.focus("#history button");
  await ann.keyboard.press("Enter");
  await ann.waitForFunction(
    (n) => document.querySelectorAll("#scroller li > p[dir]").length > n,
    COUNT - shown,
  );
  expect(await ann.evaluate(() => document.activeElement?.parentElement?.id)).toBe("history");
  expect(await ann.getByText("could not be loaded").count()).toBe(0);
});

test("with scripts, a page of earlier messages continues to the newest", async () => {
  await enter(ann, server.url, name);
  const link = /<p id="history"[^>]*><a href="([^"]*)"/.exec(await (await ann.request.get(ann.url())).text());
  await ann.goto(new URL(link?.[1] ?? "", ann.url()).href);
  await connected(ann);
  await shows(ann, `line ${COUNT - 1}`);
  const shown = await lines(ann);
  expect(shown).toEqual(upTo(Number(shown[0])));
  expect(shown.length).toBeGreaterThan(150);
});
