/** A conversation of many messages. */
import { expect } from "vitest";
import { startChat } from "../wire/chat.js";
import { inRoom, join, leave, shows } from "./browser.js";

const test = inRoom();

test("five thousand messages stay on the page, and those out of view are not laid out", async ({
  browser,
}) => {
  const running = await startChat({ backlog: 6000 });
  const page = await join(browser, running.url, "Ann");
  // Posted in this process: over HTTP, that takes half a minute.
  for (let n = 0; n < 5100; n++) await running.chat.post({ user: "Cat", text: `number ${n}` });
  await shows(page, "number 5099");
  const visible = () =>
    page.$$eval("#messages > li > p", (found) =>
      found.map((p) => p.checkVisibility({ contentVisibilityAuto: true })),
    );
  // The last messages are skipped in the second frame.
  await page.waitForFunction(
    () =>
      [...document.querySelectorAll("#messages > li > p")].filter((p) =>
        p.checkVisibility({ contentVisibilityAuto: true }),
      ).length < 100,
  );
  const atEnd = await visible();
  expect(atEnd.length).toBe(5000);
  // All have one author, who is named once in a while.
  expect(await page.locator("#messages > li.more").count()).toBeGreaterThan(4900);
  expect(atEnd[0]).toBe(false);
  await page.focus("#scroller");
  await page.keyboard.press("Home");
  await page.waitForFunction(() =>
    document.querySelector("#messages > li > p")?.checkVisibility({ contentVisibilityAuto: true }),
  );
  await leave(page);
  await running.close();
});
