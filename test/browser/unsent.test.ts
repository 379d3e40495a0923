/** Messages that were not sent: the page keeps them, and offers only what can succeed. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Server, startServer } from "../wire/server.js";
import { connected, enter, join, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let ann: Page;
let count = 0;
let name: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});
beforeEach(async () => {
  name = `Ann ${++count}`;
  ann = await join(browser, server.url, name);
});
afterEach(async () => {
  if (!ann.isClosed()) await ann.unrouteAll({ behavior: "ignoreErrors" });
  await ann.context().close();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Makes the server refuse messages. Returns how many it was sent. */
async function refuse(status: number, code: string): Promise<() => number> {
  let posts = 0;
  await ann.route("**/put_post/**", (route) => {
    posts++;
    return route.fulfill({ status, json: { error: { code, message: "no" } } });
  });
  return () => posts;
}
const buttons = () => ann.locator("#outbox button:visible").allTextContents();

describe("a message that was refused for its content", () => {
  test.each([
    [422, "bad_message", "A message has 1 to 2,000 characters and no control characters."],
    [413, "too_large", "That is too long to send."],
  ])(
    "with %d %s says why, cannot be sent again, and a reload does not resend it",
    async (status, code, why) => {
      const posts = await refuse(status, code);
      await say(ann, "refused");
      expect(await ann.textContent("#outbox [role=alert]")).toBe(why);
      expect(await buttons()).toEqual(["Delete"]);
      await ann.reload();
      await connected(ann);
      expect(await ann.textContent("#outbox [role=alert]")).toBe(why);
      expect(await buttons()).toEqual(["Delete"]);
      expect(posts()).toBe(1);
      await ann.click("text=Delete");
      await ann.reload();
      await connected(ann);
      expect(await ann.$$eval("#outbox > li", (items) => items.length)).toBe(0);
    },
  );
});

test("a message without a session can be sent again after the next log-in, once", async () => {
  await ann.context().request.post(`${server.url}/logout`);
  await say(ann, "too late");
  await ann.waitForSelector("#outbox [role=alert]");
  expect(await ann.textContent("#outbox [role=alert]")).toBe("You are not logged in.");
  expect(await buttons()).toEqual(["Delete"]);
  await enter(ann, server.url, name);
  await connected(ann);
  expect(await ann.textContent("#outbox [role=alert]")).toBe("Not sent.");
  expect(await buttons()).toEqual(["Send again", "Delete"]);
  await ann.click("text=Send again");
  await shows(ann, "too late");
  await ann.waitForSelector("#outbox > li", { state: "detached" });
});

test("a message without a session can be sent again when another tab has logged in", async () => {
  await ann.context().request.post(`${server.url}/logout`);
  await say(ann, "too early");
  await ann.waitForSelector("#outbox [role=alert]");
  expect(await buttons()).toEqual(["Delete"]);
  // The poll ends after the post. Until then the page still looks connected.
  await ann.waitForSelector("#status.stopped", { state: "attached" });
  const tab = await ann.context().newPage();
  await enter(tab, server.url, name);
  await ann.bringToFront();
  await ann.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await connected(ann);
  await ann.click("text=Send again");
  await shows(ann, "too early");
});

test("a message that no server received for a minute can be sent again", async () => {
  await ann.clock.install();
  await ann.route("**/put_post/**", (route) => route.abort());
  await say(ann, "second try");
  for (let second = 0; second < 70; second++) await ann.clock.runFor(1000);
  await ann.waitForSelector("#outbox .failed");
  expect(await buttons()).toEqual(["Send again", "Delete"]);
  await ann.unroute("**/put_post/**");
  await ann.click("text=Send again");
  await shows(ann, "second try");
});

describe("the browser asks before it closes the page", () => {
  /** Closes the page as a user does. Returns whether the browser asked, and closed nothing. */
  async function asks(): Promise<boolean> {
    const asked = ann.waitForEvent("dialog").then(async (dialog) => {
      await dialog.dismiss();
      return dialog.type() === "beforeunload";
    });
    const closed = ann.waitForEvent("close").then(() => false);
    await ann.close({ runBeforeUnload: true });
    return Promise.race([asked.catch(() => false), closed]);
  }

  test("while a message is pending, and no more once it was sent", async () => {
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    await ann.route("**/put_post/**", async (route) => {
      await opened;
      await route.continue();
    });
    await say(ann, "on its way");
    await ann.waitForSelector("#outbox .pending");
    expect(await asks()).toBe(true);
    open();
    await shows(ann, "on its way");
    expect(await asks()).toBe(false);
  });

  test("while a message has failed, and no more once it was deleted", async () => {
    await refuse(422, "bad_message");
    await say(ann, "refused");
    await ann.waitForSelector("#outbox .failed");
    expect(await asks()).toBe(true);
    await ann.click("text=Delete");
    expect(await asks()).toBe(false);
  });
});
