/** Accessibility: axe-core finds no violation, the keyboard can do everything, and the focus is always visible. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { describe, expect } from "vitest";
import { Person } from "../wire/person.js";
import { startServer } from "../wire/server.js";
import { connected, enter, inRoom, leave, say, shows } from "./browser.js";

const test = inRoom();
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

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
  const open = async (browser: Browser, options?: BrowserContextOptions) =>
    (await browser.newContext({ colorScheme, viewport: { width: 390, height: 700 }, ...options })).newPage();

  test("the log-in and the error page have no violation", async ({ browser, server }) => {
    const page = await open(browser);
    await page.goto(`${server.url}/login`);
    expect(await violations(page)).toEqual([]);
    await page.fill("#name", "a/b");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#reason:not(:empty)");
    expect(await violations(page)).toEqual([]);
    await page.goto(`${server.url}/nothing/here`);
    expect(await violations(page)).toEqual([]);
    await leave(page);
  });

  test("the room has no violation when it is empty, with all its parts, and with a lost connection", async ({
    browser,
  }) => {
    const server = await startServer();
    const page = await open(browser);
    await enter(page, server.url, "Ann");
    await connected(page);
    await page.waitForSelector(".invite");
    await page.fill("#message", "x".repeat(2100));
    await page.waitForSelector("#count.wrong");
    expect(await violations(page)).toEqual([]);
    // Names in all eight colours.
    for (let n = 0; n < 16; n++) {
      const other = await Person.login(server.url, `${n}`);
      await other.post("a link: https://example.com/ and `more`:\n```\nlet code;\n```");
      other.close();
    }
    await say(page, "my `own`");
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
    await leave(page);
    await server.stop();
  });
});

test("the conversation is a live region, and the connection has a status", async ({ ann, ben }) => {
  expect(await ann.getByRole("log").getAttribute("aria-label")).toBe("Conversation");
  expect(await ann.getByRole("status").textContent()).toBe("Connected");
  await ben.post("read this out");
  await ann.getByRole("log").getByText("read this out").waitFor();
});

/** The focused element, and whether its focus is visible. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element ?? document.body);
    const seen = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
    return { what: element?.id || element?.textContent?.trim() || element?.nodeName, seen };
  });

test("a person with a keyboard logs in, reads, writes, opens the list of people and logs out, with a visible focus", async ({
  page,
  server,
}) => {
  await page.goto(`${server.url}/login`);
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
  expect(back).toEqual(["scroller", "Log out", "here", "Skip to message box"]);
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
});

test("a person with a keyboard scrolls back, and a button leads to new messages", async ({ ann, ben }) => {
  for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
  await shows(ann, "line 59");
  await ann.focus("#scroller");
  await ann.keyboard.press("Home");
  await ann.waitForFunction(() => (document.querySelector("#scroller")?.scrollTop ?? 0) < -1000);
  await ben.post("new");
  await ann.waitForSelector("button.newer:not([hidden])");
  await ann.keyboard.press("Tab");
  expect(await focused(ann)).toEqual({ what: "1 new message", seen: true });
  await ann.keyboard.press("Enter");
  expect(await ann.evaluate(() => Math.round(document.querySelector("#scroller")?.scrollTop ?? -1))).toBe(0);
  expect(await focused(ann)).toEqual({ what: "scroller", seen: true });
});
