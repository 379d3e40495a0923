/** Closing a page with a message that is not sent. */
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";
import { hold, inRoom, say, shows } from "./browser.js";

const test = inRoom();
const POSTS = "**/put_post/**";

describe("the browser asks before it closes the page", () => {
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

  test("while a message is pending, and no more once it was sent", async ({ ann }) => {
    const open = await hold(ann, POSTS);
    await say(ann, "on its way");
    await ann.waitForSelector("#outbox .pending");
    expect(await asks(ann)).toBe(true);
    open();
    await shows(ann, "on its way");
    expect(await asks(ann)).toBe(false);
  });

  test("while a message has failed, and no more once it was deleted", async ({ ann }) => {
    const json = { error: { code: "bad_message", message: "no" } };
    await ann.route(POSTS, (route) => route.fulfill({ status: 422, json }));
    await say(ann, "refused");
    await ann.waitForSelector("#outbox .failed");
    expect(await asks(ann)).toBe(true);
    await ann.click("text=Delete");
    expect(await asks(ann)).toBe(false);
  });
});
