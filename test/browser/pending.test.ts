/** Pending messages look like the messages that they become, so the conversation does not move. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, enter, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ann: Page;
let count = 0;
/** A name of this test's own. */
let name: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0"),
    openBrowser(),
  ]);
});
beforeEach(async () => {
  name = `Ann ${++count}`;
  ann = await (await browser.newContext()).newPage();
});
afterEach(async () => {
  await ann.unrouteAll({ behavior: "ignoreErrors" });
  await ann.context().close();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Holds every post until the returned function is called. */
async function holdPosts(page: Page): Promise<() => void> {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  await page.route("**/put_post/**", async (route) => {
    await opened;
    await route.continue();
  });
  return open;
}

/** Returns the place of each text on the screen, its width and height, and whether a name and time are above it. */
const look = (page: Page) =>
  page.$$eval("#scroller li:not([hidden]) > p[dir]", (all) =>
    all.map((p) => {
      const { x, y, width, height } = p.getBoundingClientRect();
      const isHead = (p.parentElement?.querySelector("time")?.getBoundingClientRect().height ?? 0) > 1;
      const [left, top] = [Math.round(x), Math.round(y)];
      return { text: p.textContent, left, top, width, height, isHead };
    }),
  );

test("the conversation does not move when a pending message is late, nor when it is kept", async () => {
  const ben = await Person.login(server.url, `Ben ${name}`);
  for (let n = 0; n < 30; n++) await ben.post(`line ${n} of ${name}`);
  await enter(ann, server.url, name);
  await connected(ann);
  const open = await holdPosts(ann);
  await say(ann, "first");
  await say(ann, "second");
  const early = await look(ann);
  expect(early.slice(-2).map(({ text, isHead }) => [text, isHead])).toEqual([
    ["first", true],
    ["second", false],
  ]);
  await ann.getByText("Sending…").waitFor();
  expect(await look(ann)).toEqual(early);
  open();
  await shows(ann, "second");
  await ann.waitForSelector("#outbox > li", { state: "detached" });
  expect(await ann.getByText("Sending…").count()).toBe(0);
  expect(await look(ann)).toEqual(early);
  ben.close();
});

test("a message of somebody else in between begins a new group of the pending ones", async () => {
  await enter(ann, server.url, name);
  await connected(ann);
  await say(ann, "kept");
  await shows(ann, "kept");
  await ann.waitForSelector("#outbox > li", { state: "detached" });
  const open = await holdPosts(ann);
  await say(ann, "one");
  await say(ann, "two");
  const heads = async () => (await look(ann)).slice(-3).map(({ isHead }) => isHead);
  expect(await heads()).toEqual([true, false, false]);
  const ben = await Person.login(server.url, `Ben ${name}`);
  await ben.post("in between");
  await shows(ann, "in between");
  expect(await heads()).toEqual([true, true, false]);
  open();
  await shows(ann, "two");
  expect(await heads()).toEqual([true, true, false]);
  ben.close();
});

test("Sending… appears after a second, once for fifty messages", async () => {
  await ann.clock.install();
  await enter(ann, server.url, name);
  await connected(ann);
  await ann.clock.pauseAt(new Date(Date.now() + 3_600_000));
  const open = await holdPosts(ann);
  for (let n = 0; n < 50; n++) await say(ann, `number ${n}`);
  const sending = ann.getByText("Sending…");
  await ann.clock.runFor(900);
  expect(await sending.count()).toBe(0);
  expect(await ann.locator("#outbox .late").count()).toBe(0);
  await ann.clock.runFor(200);
  expect(await sending.count()).toBe(1);
  expect(await sending.isVisible()).toBe(true);
  expect(await ann.locator("#outbox > li:not(.more)").count()).toBe(1);
  await ann.clock.resume();
  open();
  await shows(ann, "number 49");
  await ann.waitForSelector("#outbox > li", { state: "detached" });
  expect(await sending.count()).toBe(0);
});

test("whoever reads further up sees nothing move when a pending message is kept", async () => {
  const ben = await Person.login(server.url, `Ben ${name}`);
  for (let n = 0; n < 60; n++) await ben.post(`line ${n} of ${name}`);
  await enter(ann, server.url, name);
  await connected(ann);
  const open = await holdPosts(ann);
  await say(ann, "a message\nof three\nlines");
  await ann.$eval("#scroller", (scroller) => {
    scroller.scrollTop = -600;
  });
  const places = async () => (await look(ann)).slice(-50, -10).map(({ top }) => top);
  const before = await places();
  open();
  await shows(ann, "a message\nof three\nlines");
  await ann.waitForSelector("#outbox > li", { state: "detached" });
  expect(await places()).toEqual(before);
  ben.close();
});
