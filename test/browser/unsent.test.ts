/** Messages that were not sent: the page keeps them, and offers only what can succeed. */
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";
import { connected, enter, hold, inRoom, say, sent, shows } from "./browser.js";

const test = inRoom();
const POSTS = "**/put_post/**";

/** Makes the server refuse messages. Returns how many it was sent. */
async function refuse(ann: Page, status: number, code: string): Promise<() => number> {
  let posts = 0;
  await ann.route(POSTS, (route) => {
    posts++;
    return route.fulfill({ status, json: { error: { code, message: "no" } } });
  });
  return () => posts;
}
const buttons = (ann: Page) => ann.locator("#outbox button:visible").allTextContents();

describe("a message that was refused for its content", () => {
  test.for([
    [422, "bad_message", "Use 1–2,000 characters, no control characters."],
    [413, "too_large", "That is too long to send."],
  ] as const)(
    "with %d %s says why, cannot be sent again, and a reload does not resend it",
    async ([status, code, why], { ann }) => {
      const posts = await refuse(ann, status, code);
      await say(ann, "refused");
      expect(await ann.textContent("#outbox [role=alert]")).toBe(why);
      expect(await buttons(ann)).toEqual(["Delete"]);
      await ann.reload();
      await connected(ann);
      expect(await ann.textContent("#outbox [role=alert]")).toBe(why);
      expect(await buttons(ann)).toEqual(["Delete"]);
      expect(posts()).toBe(1);
      await ann.click("text=Delete");
      expect(await ann.evaluate(() => document.activeElement?.id)).toBe("message");
      await ann.reload();
      await connected(ann);
      expect(await ann.locator("#outbox > li").count()).toBe(0);
    },
  );
});

test("a message without a session can be sent again after the next log-in, once", async ({
  ann,
  server,
  me,
}) => {
  await ann.context().request.post(`${server.url}/logout`);
  await say(ann, "too late");
  await ann.waitForSelector("#outbox [role=alert]");
  expect(await ann.textContent("#outbox [role=alert]")).toBe("You are not logged in.");
  expect(await buttons(ann)).toEqual(["Delete"]);
  await enter(ann, server.url, me);
  await connected(ann);
  expect(await ann.textContent("#outbox [role=alert]")).toBe("Not sent.");
  expect(await buttons(ann)).toEqual(["Send again", "Delete"]);
  await ann.click("text=Send again");
  await shows(ann, "too late");
  await sent(ann);
});

test("a message without a session can be sent again when another tab has logged in", async ({
  ann,
  server,
  me,
}) => {
  await ann.context().request.post(`${server.url}/logout`);
  await say(ann, "too early");
  await ann.waitForSelector("#outbox [role=alert]");
  expect(await buttons(ann)).toEqual(["Delete"]);
  // The poll ends after the post. Until then the page still looks connected.
  await ann.waitForSelector("#status.stopped", { state: "attached" });
  const tab = await ann.context().newPage();
  await enter(tab, server.url, me);
  await ann.bringToFront();
  await ann.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await connected(ann);
  await ann.click("text=Send again");
  await shows(ann, "too early");
});

test("a message that no server received for a minute can be sent again", async ({ ann }) => {
  await ann.clock.install();
  await ann.route(POSTS, (route) => route.abort());
  // A poll that is live again would resend the message before the click.
  const open = await hold(ann, "**/get_post/**");
  await say(ann, "second try");
  while ((await ann.locator("#outbox .failed").count()) === 0) await ann.clock.runFor(1000);
  expect(await buttons(ann)).toEqual(["Send again", "Delete"]);
  await ann.unroute(POSTS);
  await ann.click("text=Send again");
  open();
  await shows(ann, "second try");
});
