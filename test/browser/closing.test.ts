/** Closing a page with a message that is not sent. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { inRoom, say } from "./browser.js";

const test = inRoom();

/** Closes the page as a user does. Returns whether the browser asked, and closed nothing. */
async function asks(page: Page): Promise<boolean> {
  const asked = page.waitForEvent("dialog").then(async (dialog) => {
    await dialog.dismiss();
    return dialog.type() === "beforeunload";
  });
  const closed = page.waitForEvent("close").then(() => false);
  await page.close({ runBeforeUnload: true });
  return Promise.race([asked.catch(() => false), closed]);
}

test("the browser asks before it closes the page while a message is not sent, and no more once it was deleted", async ({
  ann,
}) => {
  const json = { error: { code: "bad_message", message: "no" } };
  await ann.route("**/put_post/**", (route) => route.fulfill({ status: 422, json }));
  await say(ann, "refused");
  await ann.waitForSelector("#outbox .failed");
  expect(await asks(ann)).toBe(true);
  await ann.click("text=Delete");
  expect(await asks(ann)).toBe(false);
});
