/** The page shows who its user is, what can be clicked, and in an empty room how to invite others. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { enter, join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const people = (page: Page) => page.locator("#people li").allTextContents();

test("the user's name is next to Log out, and marked in the list of people", async () => {
  const ben = await Person.login(server.url, "Ben");
  await ben.batch("since=now&wait=0");
  const ann = await join(browser, server.url, "Ann <b>");
  expect(await ann.textContent("header > :nth-last-child(2)")).toBe("Ann <b>");
  expect(await ann.textContent("header > :last-child")).toBe("Log out");
  expect(await people(ann)).toEqual(["Ann <b> (you)", "Ben"]);
  const cat = await Person.login(server.url, "Cat");
  await cat.batch("since=now&wait=0");
  await ann.click("summary");
  await ann.locator("#people").getByText("Cat").waitFor();
  expect(await people(ann)).toEqual(["Ann <b> (you)", "Ben", "Cat"]);
  for (const person of [ben, cat]) person.close();
  await ann.context().close();
});

/** Logs in with another name in a new tab, and returns to the page. */
async function becomes(page: Page, name: string): Promise<void> {
  await enter(await page.context().newPage(), server.url, name);
  // The poll may end before the browser has the new session. The page asks again when the user sees it.
  await page.waitForSelector("#status.stopped");
  await page.bringToFront();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
}

test("a tab whose browser logs in under another name says under which", async () => {
  const dan = await join(browser, server.url, "Dan");
  await becomes(dan, "Dora & Co");
  await dan.getByText("You are logged in as Dora & Co now.").waitFor();
  await dan.click("#status >> text=Reload");
  await dan.waitForURL("**/chatroom/Dora*/");
  await dan.context().close();
});

test("a browser with another user and no route to the server says only that", async () => {
  const eli = await join(browser, server.url, "Eli");
  await eli.route(`${server.url}/`, (route) => route.abort());
  await becomes(eli, "Fay");
  await eli.getByText("You are logged in under another name.").waitFor();
  await eli.context().close();
});

test("a control changes under the pointer, and the list of people has an arrow instead of a triangle", async () => {
  const ian = await join(browser, server.url, "Ian");
  const controls = [
    ["#composer button", "background-color"],
    ["header form button", "background-color"],
    ["summary", "background-color"],
    ["#message", "border-top-color"],
  ] as const;
  for (const [selector, property] of controls) {
    const read = () =>
      ian.$eval(selector, (control, name) => getComputedStyle(control).getPropertyValue(name), property);
    await ian.mouse.move(0, 0);
    const before = await read();
    await ian.hover(selector);
    expect([selector, await read()]).not.toEqual([selector, before]);
  }
  const arrow = await ian.$eval("summary", (summary) => [
    getComputedStyle(summary).listStyleType,
    getComputedStyle(summary, "::after").borderBottomStyle,
  ]);
  expect(arrow).toEqual(["none", "solid"]);
  await ian.context().close();
});

const INVITATION = "No messages yet.";

test("an empty room copies its address until there is a message", async () => {
  const empty = await startServer();
  const context = await browser.newContext();
  await context.addInitScript(() => {
    // Not every browser lets a test read its clipboard.
    const writeText = async (text: string) => Reflect.set(globalThis, "copied", text);
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
  });
  const page = await context.newPage();
  await enter(page, empty.url, "Gus");
  await page.getByText(INVITATION).waitFor();
  expect(await page.inputValue(".invite input")).toBe(`${empty.url}/`);
  await page.click("text=Copy");
  await page.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate(() => Reflect.get(globalThis, "copied"))).toBe(`${empty.url}/`);
  await say(page, "hello");
  await shows(page, "hello");
  expect(await page.getByText(INVITATION).count()).toBe(0);
  await page.reload();
  await shows(page, "hello");
  expect(await page.getByText(INVITATION).count()).toBe(0);
  await context.close();
  await empty.stop();
});

test("an empty room without access to the clipboard selects its address", async () => {
  const empty = await startServer();
  const context = await browser.newContext();
  await context.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  const page = await context.newPage();
  await enter(page, empty.url, "Hal");
  await page.click("text=Copy");
  const selected = await page.$eval(".invite input", (input) => {
    const { value, selectionStart, selectionEnd } = input as HTMLInputElement;
    return value.slice(selectionStart ?? 0, selectionEnd ?? 0);
  });
  expect(selected).toBe(`${empty.url}/`);
  expect(await page.textContent(".invite button")).toBe("Copy");
  await context.close();
  await empty.stop();
});
