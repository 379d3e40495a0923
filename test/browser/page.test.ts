/** Parts of the page that are the same in every engine: times, colours, gaps, and its head. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, enter, join, openBrowser, shows, texts } from "./browser.js";

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

test("the conversation shows times in the time zone of the reader", async () => {
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

test("each name has its own colour, live and after a reload", async () => {
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

test("the conversation reports a gap", async () => {
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
describe("the head of the page", () => {
  test("lists the present users and follows joins and leaves", async () => {
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

  test("counts unseen messages in the title", async () => {
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

  test("logs the user out and frees the name", async () => {
    ann = await join(browser, server.url, name);
    await ann.click("text=Log out");
    await ann.waitForURL("**/login");
    const other = await Person.login(server.url, name);
    const cookies = (await ann.context().cookies()).map(({ name }) => name);
    expect(cookies).toEqual([expect.stringMatching(/^holdline-check_/)]);
    await other.ask("logout", { method: "POST" });
    other.close();
  });

  test("reports a session that ended elsewhere, with a link to the log-in", async () => {
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
