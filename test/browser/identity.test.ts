/** The page shows who its user is, and what can be clicked. */
import { expect } from "vitest";
import { startChat } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { connected, enter, inRoom } from "./browser.js";

const test = inRoom();

test("the list of people follows joins and leaves", async ({ page, server, ben }) => {
  await ben.batch("since=now&wait=0");
  await page.clock.install();
  await enter(page, server.url, "Ann <b>");
  await connected(page);
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

test("a browser with another user and no route to the server says only that", async ({ ann, server }) => {
  await ann.route(`${server.url}/`, (route) => route.abort());
  await enter(await ann.context().newPage(), server.url, "Fay");
  // The poll may end before the browser has the new session. The page asks again when the user sees it.
  await ann.waitForSelector("#status.stopped");
  await ann.bringToFront();
  await ann.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
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
