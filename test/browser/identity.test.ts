/** The page shows who its user is, what can be clicked, and in an empty room how to invite others. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { startChat } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { connected, enter, inRoom, say, shows } from "./browser.js";

const test = inRoom();

test("the user's name is next to Log out, and marked in the list of people, which follows joins and leaves", async ({
  page,
  server,
  ben,
}) => {
  await ben.batch("since=now&wait=0");
  await page.clock.install();
  await enter(page, server.url, "Ann <b>");
  await connected(page);
  expect(await page.textContent("header > :nth-last-child(2)")).toBe("Ann <b>");
  expect(await page.textContent("header > :last-child")).toBe("Log out");
  const people = async () => {
    // The list is fetched every two seconds at most.
    await page.clock.runFor(2000);
    return page.locator("#people li").allTextContents();
  };
  expect(await people()).toEqual(["Ann <b> (you)", "Ben"]);
  await page.click("summary");
  const cat = await Person.login(server.url, "Cat");
  await cat.batch("since=now&wait=0");
  await expect.poll(people).toEqual(["Ann <b> (you)", "Ben", "Cat"]);
  expect(await page.textContent("summary")).toBe("3 here");
  await cat.ask("logout", { method: "POST" });
  await expect.poll(people).toEqual(["Ann <b> (you)", "Ben"]);
  expect(await page.textContent("summary")).toBe("2 here");
  cat.close();
});

const INVITATION = "No messages yet.";

test("an empty room without access to the clipboard selects its address", async ({ page, server, me }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await enter(page, server.url, me);
  await page.click("text=Copy");
  const selected = await page.$eval(".invite input", (input) => {
    const { value, selectionStart, selectionEnd } = input as HTMLInputElement;
    return value.slice(selectionStart ?? 0, selectionEnd ?? 0);
  });
  expect(selected).toBe(`${server.url}/`);
  expect(await page.textContent(".invite button")).toBe("Copy");
});

test("an empty room copies its address until there is a message", async ({ page, server, me }) => {
  await page.addInitScript(() => {
    // Not every browser lets a test read its clipboard.
    const writeText = async (text: string) => Reflect.set(globalThis, "copied", text);
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
  });
  await enter(page, server.url, me);
  await page.getByText(INVITATION).waitFor();
  expect(await page.inputValue(".invite input")).toBe(`${server.url}/`);
  await page.click("text=Copy");
  await page.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate(() => Reflect.get(globalThis, "copied"))).toBe(`${server.url}/`);
  await say(page, "hello");
  await shows(page, "hello");
  expect(await page.getByText(INVITATION).count()).toBe(0);
  expect(await page.textContent("#history")).toMatch(/^History begins here: /);
  await page.reload();
  await shows(page, "hello");
  expect(await page.getByText(INVITATION).count()).toBe(0);
});

test("a user is marked in the list of people, although the host spells the name in another way now", async ({
  page,
}) => {
  let name = "ann";
  const chat = await startChat({ identify: () => name });
  const people = () => page.locator("#people li").allTextContents();
  await page.goto(`${chat.url}/`);
  await connected(page);
  name = "Ann";
  await page.goto(`${chat.url}/`);
  await connected(page);
  expect(await people()).toEqual(["ann (you)"]);
  const asked = page.waitForResponse("**/who");
  await page.click("summary");
  await asked;
  await page.waitForFunction(() => document.querySelector("#people li bdi")?.textContent === "ann");
  expect(await people()).toEqual(["ann (you)"]);
  await page.goto("about:blank");
  await chat.close();
});

/** Logs in with another name in a new tab, and returns to the page. */
async function become(page: Page, url: string, name: string): Promise<void> {
  await enter(await page.context().newPage(), url, name);
  // The poll may end before the browser has the new session. The page asks again when the user sees it.
  await page.waitForSelector("#status.stopped");
  await page.bringToFront();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
}

test("a tab whose browser logs in under another name says under which", async ({ ann, server }) => {
  await become(ann, server.url, "Dora & Co");
  await ann.getByText("You are logged in as Dora & Co now.").waitFor();
  await ann.click("#status >> text=Reload");
  await ann.waitForURL("**/chatroom/Dora*/");
});

test("a browser with another user and no route to the server says only that", async ({ ann, server }) => {
  await ann.route(`${server.url}/`, (route) => route.abort());
  await become(ann, server.url, "Fay");
  await ann.getByText("You are logged in under another name.").waitFor();
});

test("a control changes under the pointer, and the list of people has an arrow instead of a triangle", async ({
  ann,
}) => {
  for (const [selector, property] of [
    ["#composer button", "background-color"],
    ["header form button", "background-color"],
    ["summary", "background-color"],
    ["#message", "border-top-color"],
  ] as const) {
    const read = () =>
      ann.$eval(selector, (control, name) => getComputedStyle(control).getPropertyValue(name), property);
    await ann.mouse.move(0, 0);
    const before = await read();
    await ann.hover(selector);
    expect([selector, await read()]).not.toEqual([selector, before]);
  }
  const arrow = await ann.$eval("summary", (summary) => [
    getComputedStyle(summary).listStyleType,
    getComputedStyle(summary, "::after").borderBottomStyle,
  ]);
  expect(arrow).toEqual(["none", "solid"]);
});
