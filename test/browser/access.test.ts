/** Accessibility: axe-core finds no violation, the keyboard can do everything, and the focus is always visible. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, join, openBrowser, say, shows } from "./browser.js";

let server: Server;
/** A room without links in messages, which would be stops of the Tab key. */
let plain: Server;
let browser: Browser;
let ben: Person;
let cat: Person;
let axeSource: string;

beforeAll(async () => {
  axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const start = () => startServer("--login-rate", "0", "--post-rate", "0");
  [server, plain, browser] = await Promise.all([start(), start(), openBrowser()]);
  ben = await Person.login(server.url, "Ben");
  cat = await Person.login(plain.url, "Cat");
});
afterAll(async () => {
  ben.close();
  cat.close();
  await browser.close();
  await Promise.all([server.stop(), plain.stop()]);
});

/** The violations that axe finds. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const found = await page.evaluate(() => {
    const { run }: typeof axe = Reflect.get(globalThis, "axe");
    return run(document).then(({ violations }) => violations);
  });
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

describe.each(["light", "dark"] as const)("in %s", (colorScheme) => {
  test("the log-in and the error page have no violation", async () => {
    const page = await (await browser.newContext({ colorScheme })).newPage();
    await page.goto(`${server.url}/login`);
    expect(await violations(page)).toEqual([]);
    await page.fill("#name", "a/b");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#reason:not(:empty)");
    expect(await violations(page)).toEqual([]);
    await page.goto(`${server.url}/nothing/here`);
    expect(await violations(page)).toEqual([]);
    await page.context().close();
  });

  test("the room has no violation with all its parts, and with a lost connection", async () => {
    const context = await browser.newContext({ colorScheme, viewport: { width: 390, height: 700 } });
    const page = await context.newPage();
    await page.goto(`${server.url}/login`);
    await page.fill("#name", `Ann ${colorScheme}`);
    await page.keyboard.press("Enter");
    await connected(page);
    await ben.post("a link: https://example.com/");
    await ben.post("and `more`:\n```\nlet code;\n```");
    await say(page, "my `own`");
    // Names in all eight colours.
    for (let n = 0; n < 16; n++) {
      const other = await Person.login(server.url, `${colorScheme} ${n}`);
      await other.post("hello");
      other.close();
    }
    await say(page, "my own");
    await shows(page, "my own");
    await page.click("summary");
    await page.waitForSelector("#people li");
    await page.route("**/put_post/**", (route) =>
      route.fulfill({ status: 413, json: { error: { code: "too_large", message: "no" } } }),
    );
    await say(page, "refused");
    await page.waitForSelector(".failed");
    expect(await violations(page)).toEqual([]);
    await page.unroute("**/put_post/**");
    await page.context().setOffline(true);
    await say(page, "on its way");
    await page.waitForSelector("#status.waiting");
    expect(await violations(page)).toEqual([]);
    await context.close();
  });

  test("an empty room, and a message that is too long, have no violation", async () => {
    const context = await browser.newContext({ colorScheme, viewport: { width: 390, height: 700 } });
    const page = await context.newPage();
    await page.goto(`${plain.url}/login`);
    await page.fill("#name", `Dan ${colorScheme}`);
    await page.keyboard.press("Enter");
    await connected(page);
    await page.waitForSelector(".invite");
    await page.fill("#message", "x".repeat(2100));
    await page.waitForSelector("#count.wrong");
    expect(await violations(page)).toEqual([]);
    await context.close();
  });
});

test("the conversation is a live region, and the connection has a status", async () => {
  const page = await join(browser, server.url, "Ann, listening");
  expect(await page.getByRole("log").getAttribute("aria-label")).toBe("Conversation");
  expect(await page.getByRole("status").textContent()).toBe("Connected");
  await ben.post("read this out");
  await page.getByRole("log").getByText("read this out").waitFor();
  await page.context().close();
});

/** The focused element, and whether its focus is visible. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element ?? document.body);
    const seen = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
    return { what: element?.id || element?.textContent?.trim() || element?.nodeName, seen };
  });

test("a person with a keyboard logs in, reads, writes, opens the list of people and logs out, with a visible focus", async () => {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${plain.url}/login`);
  expect(await focused(page)).toEqual({ what: "name", seen: true });
  await page.keyboard.type("Ann, typing");
  await page.keyboard.press("Tab");
  expect(await focused(page)).toEqual({ what: "Join the room", seen: true });
  await page.keyboard.press("Enter");
  await connected(page);
  expect(await focused(page)).toEqual({ what: "message", seen: true });
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Tab");
  expect(await focused(page)).toEqual({ what: "Send", seen: true });
  await page.keyboard.press("Enter");
  await shows(page, "by keyboard");
  expect((await focused(page)).what).toBe("message");
  const back: string[] = [];
  for (let n = 0; n < 4; n++) {
    await page.keyboard.press("Shift+Tab");
    const { what, seen } = await focused(page);
    expect(seen).toBe(true);
    back.push(`${what}`);
  }
  expect(back).toEqual(["scroller", "Log out", expect.stringMatching(/^\d+ here$/), "Skip to message box"]);
  await page.keyboard.press("Enter");
  expect((await focused(page)).what).toBe("message");
  for (let n = 0; n < 3; n++) await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("list").getByText("Ann, typing").first().waitFor();
  await page.keyboard.press("Escape");
  expect(await page.getAttribute("#people", "open")).toBe(null);
  expect((await focused(page)).what).toMatch(/here$/);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/login");
  await page.context().close();
});

test("a person with a keyboard scrolls back, and a button leads to new messages", async () => {
  const page = await join(browser, plain.url, "Ann, scrolling");
  for (let n = 0; n < 60; n++) await cat.post(`line ${n}`);
  await shows(page, "line 59");
  await page.focus("#scroller");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => (document.querySelector("#scroller")?.scrollTop ?? 0) < -1000);
  await cat.post("new");
  await page.waitForSelector("button.newer:not([hidden])");
  await page.keyboard.press("Tab");
  expect(await focused(page)).toEqual({ what: "1 new message", seen: true });
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => Math.round(document.querySelector("#scroller")?.scrollTop ?? -1))).toBe(0);
  expect(await focused(page)).toEqual({ what: "scroller", seen: true });
  await page.context().close();
});

test("a room fits a screen of 320 px in both languages", async () => {
  for (const locale of ["en", "zh-CN"]) {
    const context = await browser.newContext({ viewport: { width: 320, height: 480 }, locale });
    const page = await context.newPage();
    await page.goto(`${server.url}/login`);
    await page.fill("#name", `${locale} ${"M".repeat(25)}`);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#scroller");
    await ben.post(
      "https://example.com/a/very/long/address/without/any/space/in/it/at/all?and=more&and=more",
    );
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBe(320);
    await context.close();
  }
});
