/** One poll for many tabs, with the locks and channels of a real browser. */
import { expect } from "vitest";
import { start, until } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { anotherTab, connected, inRoom, join, leave, say, shows, texts } from "./browser.js";

const test = inRoom();
const COUNT = 60;

test("tabs share a poll and show each message once and in order when one is closed, and their person joins and leaves once", async ({
  browser,
}) => {
  const { url, chat } = await start();
  const first = await join(browser, url, "Ann");
  // The last tab polls while it is open.
  const [second, last] = [await anotherTab(first), await anotherTab(first)];
  const cat = await Person.login(url, "Cat");
  await until(() => chat.waiting === 1);
  const posted = Array.from({ length: COUNT - 10 }, (_, n) => cat.post(`Cat ${n}`));
  const written = (async () => {
    for (let n = 0; n < 10; n++) await say(second, `Ann ${n}`);
  })();
  await shows(second, "Ann 3");
  await last.close();
  await Promise.all([written, ...posted]);
  for (const tab of [first, second])
    await tab.waitForFunction(
      (count) => document.querySelectorAll("#messages > li:not(.notice)").length >= count,
      COUNT,
    );
  const shown = await texts(first);
  expect(shown.length).toBe(COUNT);
  expect(new Set(shown).size).toBe(COUNT);
  expect(await texts(second)).toEqual(shown);
  await until(() => chat.waiting === 1);
  // A reload is no leave, nor is a tab that closes while another is open.
  await first.reload();
  await second.close();
  await connected(first);
  await first.close();
  const notices: string[] = [];
  for (let since = "0"; !notices.includes("leave"); ) {
    const { cursor, messages } = await cat.batch(`since=${since}&wait=10`);
    since = cursor;
    for (const { user, kind } of messages) if (user === "Ann" && kind) notices.push(kind);
  }
  expect(notices).toEqual(["join", "leave"]);
  cat.close();
  await leave(first);
});
