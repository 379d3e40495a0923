/** The page on a phone: a coarse pointer and a narrow screen. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, openBrowser, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});
beforeEach(async () => {
  context = await browser.newContext({ hasTouch: true, viewport: { width: 320, height: 560 } });
  page = await context.newPage();
});
afterEach(() => context.close());
afterAll(async () => {
  await browser.close();
  await server.stop();
});

async function enter(name: string): Promise<void> {
  await page.goto(`${server.url}/login`);
  await page.fill("#name", name);
  await page.tap("form button");
  await connected(page);
}

test("Enter inserts a line, the button sends, and the keyboard shows so", async () => {
  await enter("Ann");
  expect(await page.getAttribute("#message", "enterkeyhint")).toBe("enter");
  expect(await page.getAttribute("#message", "title")).toBe("");
  await page.focus("#message");
  await page.keyboard.type("one");
  await page.keyboard.press("Enter");
  await page.keyboard.type("two");
  expect(await page.inputValue("#message")).toBe("one\ntwo");
  await page.tap("#composer button");
  await shows(page, "one\ntwo");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("message");
});

/** The controls that are smaller than 44 px, without the links in messages. */
const small = () =>
  page.$$eval("a, button, input, textarea, summary", (controls) =>
    controls.flatMap((control) => {
      const { width, height } = control.getBoundingClientRect();
      const isShown = control.checkVisibility() && !control.matches(".skip, p[dir] a");
      return isShown && (width < 44 || height < 44) ? [`${width} × ${height} ${control.outerHTML}`] : [];
    }),
  );

test("every control is at least 44 px wide and high", async () => {
  await page.goto(`${server.url}/login`);
  expect(await small()).toEqual([]);
  await enter("Bob");
  expect(await small()).toEqual([]);
  await page.goto(`${server.url}/login`); // with a link back to the room
  expect(await small()).toEqual([]);
  await page.goto(`${server.url}/nothing/here`);
  expect(await small()).toEqual([]);
  await page.goto(`${server.url}/`);
  await connected(page);
  await page.route("**/put_post/**", (route) =>
    route.fulfill({ status: 422, json: { error: { code: "bad_message", message: "no" } } }),
  );
  await page.fill("#message", "refused");
  await page.tap("#composer button");
  await page.waitForSelector(".failed");
  await context.request.post(`${server.url}/logout`);
  await page.getByText("Log in again").waitFor();
  expect(await small()).toEqual([]);
});

test("every control of the page without scripts is at least 44 px wide and high", async () => {
  await context.close();
  context = await browser.newContext({ hasTouch: true, javaScriptEnabled: false });
  page = await context.newPage();
  await page.goto(`${server.url}/login`);
  await page.fill("#name", "Cat");
  await page.tap("form button");
  await page.waitForSelector("#composer");
  expect(await small()).toEqual([]);
});

test("a name of 32 characters fits into the header and the list of people at 320 px", async () => {
  const name = "W".repeat(32);
  const eve = await Person.login(server.url, "E".repeat(32));
  await eve.batch("since=now&wait=0");
  await enter(name);
  await page.tap("summary");
  await page.waitForFunction(() => document.querySelectorAll("#people li").length > 1);
  const edges = await page.$$eval("header > *, #people section, #people bdi", (elements) =>
    elements.flatMap((element) => {
      const { left, right } = element.getBoundingClientRect();
      return left < 0 || right > 320 ? [`${left} to ${right}: ${element.outerHTML}`] : [];
    }),
  );
  expect(edges).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
  eve.close();
});
