/** Earlier messages: their look, failures, and their page. How they load at the top is in engines/conversation.test.ts. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { start } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { connected, goLive, hold, inRoom, join, leave, shows } from "./browser.js";

const COUNT = 280;
const HISTORY = "**/history/**";

const test = inRoom("--backlog", "400");

test.beforeAll(async ({ ben, server }) => {
  const cat = await Person.login(server.url, "Cat");
  // Groups of seven, some with several lines.
  for (let n = 0; n < COUNT; n++)
    await (n % 14 < 7 ? ben : cat).post(n % 5 === 0 ? `line ${n}\nand\nmore` : `line ${n}`);
  cat.close();
});

/** The messages on the page, without notices. */
const lines = (page: Page) => page.locator("#scroller li > p[dir]");

/** Expects the newest messages, each once and in order. Returns the number of the first. */
async function expectNumbers(page: Page): Promise<number> {
  const numbers = (await lines(page).allTextContents()).map((text) => Number.parseInt(text.slice(5), 10));
  expect(numbers).toEqual(numbers.map((_, n) => n + COUNT - numbers.length));
  return COUNT - numbers.length;
}

/** Scrolls as with a wheel, until the top is near. */
const scrollUp = (page: Page) =>
  page.$eval("#scroller", (scroller) =>
    scroller.scrollTo(0, scroller.clientHeight - scroller.scrollHeight + 300),
  );

test("loaded messages look as if they had always been there, and are not announced as new", async ({
  page,
  server,
  me,
}) => {
  // The first half of the messages is of yesterday.
  await page.route(HISTORY, async (route) => {
    const response = await route.fetch();
    const body: { messages: { at: number; text: string }[] } = await response.json();
    for (const message of body.messages)
      if (Number(/^line (\d+)/.exec(message.text)?.[1] ?? COUNT) < 140) message.at -= 86_400_000;
    await route.fulfill({ response, json: body });
  });
  await goLive(page, server.url, me);
  await page.waitForFunction(() => {
    document.querySelector("#scroller")?.scrollTo(0, -1e6);
    return document.querySelector("#history")?.textContent?.startsWith("History begins here");
  });
  const rows = await page.$$eval("#scroller li:not(.notice)", (items) =>
    items.map((li) => [
      li.classList.contains("day") ? "day" : li.classList.contains("more") ? "more" : "head",
      li.querySelector("p")?.textContent?.split("\n")[0],
    ]),
  );
  const expected = Array.from({ length: COUNT }, (_, n) => [
    ...(n === 0 || n === 140 ? [["day", undefined]] : []),
    [n % 7 === 0 || n === 140 ? "head" : "more", `line ${n}`],
  ]).flat();
  expect(rows.slice(0, expected.length)).toEqual(expected);
  const live = await page.locator("[role=log] p[dir], [aria-live] p[dir]").allTextContents();
  expect(live).not.toContain("line 149");
  expect(live).toContain(`line ${COUNT - 1}`);
});

test("earlier messages that do not come within ten seconds are asked for again by a click, and inserted once by two", async ({
  page,
  server,
  me,
}) => {
  let asked = 0;
  page.on("request", (request) => request.url().includes("/history/") && asked++);
  await page.clock.install();
  await goLive(page, server.url, me);
  const count = await lines(page).count();
  let open = await hold(page, HISTORY);
  await scrollUp(page);
  await page.getByText("Loading…").waitFor();
  await page.clock.runFor(10_000);
  await page.getByText("Earlier messages could not be loaded.").waitFor();
  for (let n = 0; n < 5; n++) {
    await page.$eval("#scroller", (scroller) => scroller.scrollTo(0, 0));
    await scrollUp(page);
    await page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
  }
  expect(asked).toBe(1);
  open();
  open = await hold(page, HISTORY);
  await page.getByText("Try again").focus();
  await page.keyboard.press("Enter");
  await page.dispatchEvent("#history button", "click");
  await expect.poll(() => asked).toBe(3);
  expect(await page.textContent("#history")).toBe("Loading…");
  open();
  await page.getByText("Earlier messages", { exact: true }).waitFor({ state: "attached" });
  expect(await page.evaluate(() => document.activeElement?.parentElement?.id)).toBe("history");
  expect(await lines(page).count()).toBe(count + 50);
  await page.dispatchEvent("#history button", "click");
  await expect.poll(() => lines(page).count()).toBe(count + 100);
  await expectNumbers(page);
});

test("with scripts, a page of earlier messages continues to the newest", async ({ ann }) => {
  const html = await (await ann.request.get(ann.url())).text();
  const [, link = ""] = /<p id="history"[^>]*><a href="([^"]*)"/.exec(html) ?? [];
  await ann.goto(new URL(link, ann.url()).href);
  await connected(ann);
  await shows(ann, `line ${COUNT - 1}`);
  expect(await expectNumbers(ann)).toBeLessThan(COUNT - 150);
});

test("two thousand messages stay on the page, and the older ones can be loaded again", async ({
  browser,
}) => {
  const { url, chat } = await start({ backlog: 3000 });
  const page = await join(browser, url, "Ann");
  // Posted in this process: over HTTP, that takes a quarter of a minute.
  for (let n = 0; n < 2100; n++) await chat.post({ user: "Cat", text: `number ${n}` });
  await shows(page, "number 2099");
  expect(await page.locator("#messages > li").count()).toBe(2000);
  // All have one author, who is named once in a while.
  expect(await page.locator("#messages > li.more").count()).toBeGreaterThan(1900);
  const open = await hold(page, HISTORY);
  const asked = page.waitForResponse(HISTORY);
  await page.focus("#scroller");
  await page.keyboard.press("Home");
  await page.locator("#history").getByText("Loading…").waitFor();
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.querySelector("#scroller")?.scrollTop === 0);
  // The oldest item leaves the page, so the earlier messages that are on their way do not fit any more.
  await chat.post({ user: "Cat", text: "number 2100" });
  await shows(page, "number 2100");
  open();
  await asked;
  await page.keyboard.press("Home");
  await page.locator("#earlier").getByText("number 100", { exact: true }).waitFor({ state: "attached" });
  await leave(page);
});
