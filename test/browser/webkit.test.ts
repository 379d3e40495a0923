/** The room in WebKit, the engine of Safari. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { ENTER, WebKit } from "./webkit.js";

let server: Server;
let browser: WebKit;
let ben: Person;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), WebKit.open()]);
  ben = await Person.login(server.url, "Ben");
});
afterAll(async () => {
  ben.close();
  await browser.close();
  await server.stop();
});

/** Logs in with the form and waits until the page is connected. */
async function enter(url: string, name: string): Promise<void> {
  await browser.go(`${url}/login`);
  await browser.type("#name", `${name}${ENTER}`);
  await connected();
}

const connected = () => browser.until(() => document.querySelector("#status.live"));

/** The texts in the conversation, in order, without notices. */
const texts = () =>
  browser.evaluate(() =>
    [...document.querySelectorAll("#messages > li:not(.notice) > p")].map((p) => p.textContent),
  );

const shows = (text: string) =>
  browser.until(
    (text) => [...document.querySelectorAll("#messages > li > p")].some((p) => p.textContent === text),
    text,
  );

test("a person enters the room and talks, and all messages are shown once", async () => {
  await ben.post("before");
  await enter(server.url, "Ann");
  await ben.post("hello, Ann");
  await shows("hello, Ann");
  await browser.type("#message", `hello, Ben${ENTER}`);
  await shows("hello, Ben");
  await ben.post("and 你好");
  await shows("and 你好");
  expect(await texts()).toEqual(["before", "hello, Ann", "hello, Ben", "and 你好"]);
  await browser.until(() => document.querySelectorAll("#outbox > li").length === 0);
});

test("the script starts in a browser whose language is no language, and shows the local time", async () => {
  expect(await browser.evaluate(() => navigator.language)).toBe("C");
  const shown = await browser.evaluate(() => document.querySelector("#messages > li.own time")?.textContent);
  expect(shown).toMatch(/^\d?\d:\d\d/);
});

test("a draft survives a reload, and the page is live again", async () => {
  await browser.type("#message", "half a thou");
  await browser.reload();
  await connected();
  await browser.type("#message", `ght${ENTER}`);
  await shows("half a thought");
});

test("a reader further up stays there, and a button counts the new messages", async () => {
  for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
  await shows("line 59");
  const top = () => browser.evaluate(() => document.querySelector("#scroller")?.scrollTop);
  expect(await top()).toBe(0);
  await browser.evaluate(() => document.querySelector("#scroller")?.scrollBy(0, -900));
  await browser.until(() => (document.querySelector("#scroller")?.scrollTop ?? 0) < -800);
  const place = () =>
    browser.evaluate(() => {
      const lines = [...document.querySelectorAll("#messages > li")];
      return lines.find((li) => li.textContent?.endsWith("line 40"))?.getBoundingClientRect().top ?? 0;
    });
  const before = await place();
  await ben.post("news");
  await shows("news");
  // WebKit scrolls by whole pixels; the heights of lines are none.
  expect(Math.abs((await place()) - before)).toBeLessThanOrEqual(1);
  await browser.until(() => document.querySelector("button.newer")?.textContent === "1 new message");
  await browser.click("button.newer");
  expect(await top()).toBe(0);
});
