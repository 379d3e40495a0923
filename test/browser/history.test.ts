/** Earlier messages: their look, failures, and their page. How they load at the top is in engines/conversation.test.ts. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { Person } from "../wire/person.js";
import { connected, enter, inRoom, shows } from "./browser.js";

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

/** Returns the numbers of the lines on the page, in order. */
const lines = (page: Page) =>
  page.$$eval("#scroller li > p[dir]", (all) =>
    all.flatMap((p) => {
      const [, n] = /^line (\d+)/.exec(p.textContent ?? "") ?? [];
      return n === undefined ? [] : [Number(n)];
    }),
  );
const from = (start: number) => Array.from({ length: COUNT - start }, (_, n) => start + n);
const first = async (page: Page) => (await lines(page))[0] ?? COUNT;

/** Scrolls as with a wheel, until the top is near. */
const scrollUp = (page: Page) =>
  page.$eval("#scroller", (scroller) =>
    scroller.scrollTo(0, scroller.clientHeight - scroller.scrollHeight + 300),
  );

/** Waits until there are more lines than so many. */
const more = (page: Page, count: number) =>
  page.waitForFunction((n) => document.querySelectorAll("#scroller li > p[dir]").length > n, count);

async function loadAll(page: Page): Promise<void> {
  while ((await first(page)) > 0) {
    const { length } = await lines(page);
    await scrollUp(page);
    await more(page, length);
  }
}

test("loaded messages look as if they had always been there, and are not announced as new", async ({
  page,
  server,
  me,
}) => {
  // The first half of the messages is of yesterday.
  const yesterday = (text: string) => Number(/^line (\d+)/.exec(text)?.[1] ?? COUNT) < 140;
  await page.route(HISTORY, async (route) => {
    const response = await route.fetch();
    const body: { messages: { at: number; text: string }[] } = await response.json();
    for (const message of body.messages) if (yesterday(message.text)) message.at -= 86_400_000;
    await route.fulfill({ response, json: body });
  });
  await enter(page, server.url, me);
  await connected(page);
  await loadAll(page);
  const rows = await page.$$eval("#scroller li:not(.notice)", (items) =>
    items.map((li) => [
      li.classList.contains("day") ? "day" : li.classList.contains("more") ? "more" : "head",
      li.querySelector("p")?.textContent?.split("\n")[0],
    ]),
  );
  const expected = from(0).flatMap((n) => [
    ...(n === 0 || n === 140 ? [["day", undefined]] : []),
    [n % 7 === 0 || n === 140 ? "head" : "more", `line ${n}`],
  ]);
  expect(rows.slice(0, expected.length)).toEqual(expected);
  const live = await page.$$eval("[role=log] p[dir], [aria-live] p[dir]", (all) =>
    all.map((p) => p.textContent),
  );
  expect(live).not.toContain("line 149");
  expect(live).toContain(`line ${COUNT - 1}`);
});

test("a failure shows a button, and nothing is asked again before it is clicked", async ({ ann }) => {
  let asked = 0;
  await ann.route(HISTORY, (route) => {
    asked++;
    return route.abort();
  });
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
  await ann.unroute(HISTORY);
  await ann.focus("#history button");
  await ann.keyboard.press("Enter");
  await more(ann, COUNT - shown);
  expect(await ann.evaluate(() => document.activeElement?.parentElement?.id)).toBe("history");
  expect(await ann.getByText("could not be loaded").count()).toBe(0);
});

test("with scripts, a page of earlier messages continues to the newest", async ({ ann }) => {
  const html = await (await ann.request.get(ann.url())).text();
  const [, link = ""] = /<p id="history"[^>]*><a href="([^"]*)"/.exec(html) ?? [];
  await ann.goto(new URL(link, ann.url()).href);
  await connected(ann);
  await shows(ann, `line ${COUNT - 1}`);
  const shown = await lines(ann);
  expect(shown).toEqual(from(shown[0] ?? COUNT));
  expect(shown.length).toBeGreaterThan(150);
});
