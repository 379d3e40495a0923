/** Pending messages look like the messages that they become, so the conversation does not move. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { connected, enter, hold, inRoom, say, sent, shows } from "./browser.js";

const test = inRoom();
const POSTS = "**/put_post/**";

/** Returns the place of each text on the screen, its size, and whether a name and time are above it. */
const look = (page: Page) =>
  page.$$eval("#scroller li:not([hidden]) > p[dir]", (all) =>
    all.map((p) => {
      const { x, y, width, height } = p.getBoundingClientRect();
      const isHead = (p.parentElement?.querySelector("time")?.getBoundingClientRect().height ?? 0) > 1;
      const [left, top] = [Math.round(x), Math.round(y)];
      return { text: p.textContent, left, top, width, height, isHead };
    }),
  );

test("a message that is repeated on purpose is shown twice after a reload", async ({ ann }) => {
  await say(ann, "again");
  await shows(ann, "again");
  await sent(ann);
  await ann.route(POSTS, (route) => route.abort());
  await say(ann, "again");
  await ann.waitForSelector("#outbox .pending");
  await ann.reload();
  await connected(ann);
  await ann.unroute(POSTS);
  await sent(ann);
  await ann.waitForFunction(() => document.querySelectorAll("#messages .own").length === 2);
});

test("a message of somebody else in between begins a new group of the pending ones", async ({ ann, ben }) => {
  await say(ann, "kept");
  await shows(ann, "kept");
  await sent(ann);
  const open = await hold(ann, POSTS);
  await say(ann, "one");
  await say(ann, "two");
  const heads = async () => (await look(ann)).slice(-3).map(({ isHead }) => isHead);
  expect(await heads()).toEqual([true, false, false]);
  await ben.post("in between");
  await shows(ann, "in between");
  expect(await heads()).toEqual([true, true, false]);
  open();
  await shows(ann, "two");
  expect(await heads()).toEqual([true, true, false]);
});

test("Sending… appears after a second, once for fifty messages", async ({ page, server, me }) => {
  await page.clock.install();
  await enter(page, server.url, me);
  await connected(page);
  await page.clock.pauseAt(new Date(Date.now() + 3_600_000));
  const open = await hold(page, POSTS);
  await page.$eval("#composer", (form) => {
    for (let n = 0; n < 50; n++) {
      (form as HTMLFormElement).message.value = `number ${n}`;
      (form as HTMLFormElement).requestSubmit();
    }
  });
  const sending = page.getByText("Sending…");
  await page.clock.runFor(900);
  expect(await sending.count()).toBe(0);
  expect(await page.locator("#outbox .late").count()).toBe(0);
  await page.clock.runFor(200);
  expect(await sending.count()).toBe(1);
  expect(await sending.isVisible()).toBe(true);
  expect(await page.locator("#outbox > li").count()).toBe(50);
  expect(await page.locator("#outbox > li:not(.more)").count()).toBe(1);
  await page.clock.resume();
  open();
  await shows(page, "number 49");
  await sent(page);
  expect(await sending.count()).toBe(0);
});

test("whoever reads further up sees nothing move when a pending message is kept", async ({ ann, ben }) => {
  for (let n = 0; n < 60; n++) await ben.post(`row ${n}`);
  await shows(ann, "row 59");
  const open = await hold(ann, POSTS);
  await say(ann, "a message\nof three\nlines");
  await ann.$eval("#scroller", (scroller) => scroller.scrollTo(0, -600));
  const places = async () => (await look(ann)).slice(-50, -10).map(({ top }) => top);
  const before = await places();
  open();
  await shows(ann, "a message\nof three\nlines");
  await sent(ann);
  expect(await places()).toEqual(before);
});
