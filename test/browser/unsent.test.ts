/** Messages that were not sent, and can be sent again. More of them is in engines/writing.test.ts. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { connected, enter, hold, inRoom, say, shows } from "./browser.js";

const test = inRoom();
const POSTS = "**/put_post/**";

const buttons = (ann: Page) => ann.locator("#outbox button:visible").allTextContents();

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
