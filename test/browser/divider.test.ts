/** The line "New messages", and the button of the same name: what arrived while nobody looked at the end. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { Person } from "../wire/person.js";
import { anotherTab, inRoom, say, setHidden, shows } from "./browser.js";

const test = inRoom().extend("arrive", ({ ann, ben }) => {
  return async (text: string) => {
    await ben.post(text);
    await shows(ann, text);
  };
});

/** Returns the message below each line "New messages". */
const divided = (page: Page) =>
  page.$$eval("#scroller li.new", (lines) =>
    lines.map((li) => [li.textContent, li.nextElementSibling?.querySelector("p")?.textContent]),
  );

test("a line is above the first message that arrived while the tab was hidden", async ({ ann, arrive }) => {
  await arrive("seen");
  await setHidden(ann, true);
  await arrive("unseen");
  await arrive("unseen too");
  expect(await ann.title()).toBe("(2) holdline");
  await setHidden(ann, false);
  expect(await ann.title()).toBe("holdline");
  expect(await divided(ann)).toEqual([["New messages", "unseen"]]);
  // The name is shown again below the line.
  expect(await ann.locator("li.new + li:not(.more)").count()).toBe(1);
  expect(await ann.locator("button.newer").isVisible()).toBe(false);
  await arrive("live");
  expect(await divided(ann)).toEqual([["New messages", "unseen"]]);
  // The line was seen.
  await setHidden(ann, true);
  expect(await divided(ann)).toEqual([]);
  await arrive("a question");
  await setHidden(ann, false);
  expect(await divided(ann)).toEqual([["New messages", "a question"]]);
  await say(ann, "an answer");
  expect(await divided(ann)).toEqual([]);
});

test("a line and a button tell what arrives while the user reads further up, and what is read does not move", async ({
  ann,
  arrive,
  ben,
}) => {
  for (let n = 0; n < 59; n++) await ben.post(`line ${n}`);
  await arrive("line 59");
  const scroller = ann.locator("#scroller");
  expect(await scroller.evaluate(({ scrollTop }) => Math.round(scrollTop))).toBe(0);
  const read = ann.getByText("line 50", { exact: true });
  const top = async () => (await read.boundingBox())?.y ?? 0;
  // Browsers round positions to whole pixels.
  const expectSteady = async (before: number) =>
    expect(Math.abs((await top()) - before)).toBeLessThanOrEqual(1);
  const { y = 0 } = (await scroller.boundingBox()) ?? {};
  await ann.mouse.move(100, y + 100);
  await ann.mouse.wheel(0, -400);
  await ann.waitForFunction(() => (document.querySelector("#scroller")?.scrollTop ?? 0) <= -400);
  let before = await top();
  await arrive("below the view");
  await arrive("more\nbelow");
  expect(await divided(ann)).toEqual([["New messages", "below the view"]]);
  await expectSteady(before);
  const button = ann.locator("button.newer");
  expect(await button.textContent()).toBe("2 new messages");
  await button.click();
  expect(await scroller.evaluate(({ scrollTop }) => Math.round(scrollTop))).toBe(0);
  expect(await button.isVisible()).toBe(false);
  expect(await divided(ann)).toEqual([["New messages", "below the view"]]);
  // Everything was seen. The next message that is not seen moves the line, and nothing else.
  await scroller.evaluate((element) => element.scrollTo(0, -380));
  before = await top();
  await arrive("the next one");
  expect(await divided(ann)).toEqual([["New messages", "the next one"]]);
  await expectSteady(before);
});

test("no line is shown for notices, for the user's own messages, and for what was seen", async ({
  ann,
  arrive,
  server,
}) => {
  await arrive("looked at");
  await setHidden(ann, true);
  const cat = await Person.login(server.url, "Cat");
  await cat.batch("since=now&wait=0");
  await ann.getByText("Cat joined").waitFor();
  await say(await anotherTab(ann), "from another tab");
  await shows(ann, "from another tab");
  await setHidden(ann, false);
  expect(await divided(ann)).toEqual([]);
  cat.close();
});
