/** One poll for many tabs, with the locks and channels of a real browser. */
import { afterAll, beforeAll, expect } from "vitest";
import { type Running, startChat, until } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { anotherTab, connected, enter, inRoom, openTabs, say, shows } from "./browser.js";

const test = inRoom();
let running: Running;

beforeAll(async () => {
  running = await startChat();
});
afterAll(() => running.close());

test("a person with many tabs joins and leaves once", async ({ browser }) => {
  const [first, ...others] = await openTabs(browser, running.url, "Fay", 3);
  if (!first) throw new Error("no tab was opened");
  await first.reload();
  await Promise.all(others.map((page) => page.close()));
  await connected(first);
  await first.close();
  const hal = await Person.login(running.url, "Hal");
  const notices: string[] = [];
  for (let since = "0"; !notices.includes("leave"); ) {
    const { cursor, messages } = await hal.batch(`since=${since}&wait=10`);
    since = cursor;
    for (const { user, kind } of messages) if (user === "Fay" && kind) notices.push(kind);
  }
  expect(notices).toEqual(["join", "leave"]);
  hal.close();
});

test("each tab polls for itself without locks, as over plain http", async ({ page }) => {
  await page.context().addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
  await enter(page, running.url, "Gus");
  await connected(page);
  const second = await anotherTab(page);
  await say(page, "from the first");
  await say(second, "from the second");
  for (const tab of [page, second]) {
    await shows(tab, "from the first");
    await shows(tab, "from the second");
  }
  await until(() => running.chat.waiting === 2);
});
