/** The room in Chromium without scripts. For browsers that know none, see text.test.ts. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { enter, openBrowser } from "./browser.js";

let server: Server;
let browser: Browser;
let ben: Person;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0"),
    openBrowser(),
  ]);
  ben = await Person.login(server.url, "Ben");
});
beforeEach(async () => {
  context = await browser.newContext({ javaScriptEnabled: false });
  page = await context.newPage();
});
afterEach(() => context.close());
afterAll(async () => {
  ben.close();
  await browser.close();
  await server.stop();
});

test("a person logs in, reads, writes, refreshes the page and logs out", async () => {
  await ben.post("see https://example.com/\nand the second line");
  await enter(page, server.url, "Ann");
  await page.getByText("and the second line").waitFor();
  expect(await page.getAttribute("#messages p[dir] > a", "href")).toBe("https://example.com/");
  await page.fill("#message", "with\ntwo lines");
  await page.click("text=Send");
  await page.waitForSelector("#messages > li.own");
  expect(await page.innerHTML("#messages > li.own > p")).toBe("with<br>two lines");
  expect(page.url()).toBe(`${server.url}/chatroom/Ann/`);
  await ben.post("an answer");
  await page.click("footer noscript a");
  // The newest is at the bottom, in view, without a script that scrolls.
  expect(await page.getByText("an answer").isVisible()).toBe(true);
  const { y = 0 } = (await page.getByText("an answer").boundingBox()) ?? {};
  expect(y).toBeGreaterThan(200);
  expect(y).toBeLessThan(page.viewportSize()?.height ?? 0);
  await page.click("summary");
  expect(await page.locator("#people li").allTextContents()).toEqual(["Ann (you)"]);
  await page.click("text=Log out");
  await page.waitForURL("**/login");
});

test("the page refreshes itself unless refresh is paused", async () => {
  await enter(page, server.url, "Cat");
  // Every 20 seconds; here, as soon as it may.
  await page.route("**/chatroom/**", async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace('content="20"', 'content="1"');
    await route.fulfill({ response, body });
  });
  await page.goto(page.url());
  await ben.post("meanwhile");
  await page.getByText("meanwhile").waitFor();
  await page.click("footer noscript a:last-child");
  await page.waitForURL("**/Cat/?still");
  expect(await page.locator("meta[http-equiv]").count()).toBe(0);
  await page.fill("#message", "a thought, whole");
  await page.click("text=Send");
  await page.waitForURL("**/Cat/");
  await page.getByText("a thought, whole").waitFor();
});

test("what is refused is told, with a way back", async () => {
  await enter(page, server.url, "Dan");
  await page.fill("#message", `${"x".repeat(2001)}`);
  await page.click("text=Send");
  await page.getByText("A message has 1 to 2,000 characters").waitFor();
  await page.click("text=Back to the room");
  await page.waitForURL("**/chatroom/Dan/");
});
