/** The page while the server, the network or the page itself is away. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { anotherTab, connected, inRoom, say, shows, texts } from "./browser.js";

const test = inRoom();

const status = (page: Page) => page.textContent("#status");
const lost = (page: Page) => page.waitForSelector("#status.waiting", { state: "attached" });

test("a page that is offline says so, and catches up when it is back", async ({ ann, ben }) => {
  await ann.context().setOffline(true);
  await lost(ann);
  expect(await status(ann)).toBe("You are offline.");
  await say(ann, "from the tunnel");
  await ben.post("meanwhile");
  await ann.context().setOffline(false);
  await shows(ann, "meanwhile");
  await shows(ann, "from the tunnel");
  await connected(ann);
  expect((await texts(ann)).sort()).toEqual(["from the tunnel", "meanwhile"]);
});

test("a page is live again after a step back in the history", async ({ ann, ben, server }) => {
  await ann.goto(`${server.url}/healthz`);
  await ben.post("while Ann was elsewhere");
  // Not `goBack`, which waits for a load that a page from the back/forward cache does not have.
  await ann.evaluate(() => history.back());
  await shows(ann, "while Ann was elsewhere");
  await ben.post("now she is back");
  await shows(ann, "now she is back");
});

// Chromium keeps no page in its back/forward cache that read a no-store reply. Other browsers may, so the tests
// dispatch the events of that cache.
const cache = (page: Page, event: "pagehide" | "pageshow") =>
  page.evaluate((event) => dispatchEvent(new PageTransitionEvent(event, { persisted: true })), event);

/** Puts a page into the cache. */
async function freeze(page: Page): Promise<void> {
  const left = page.waitForRequest("**/leave/**");
  await cache(page, "pagehide");
  await left;
}

test("a page from the back/forward cache polls again from its cursor", async ({ ann, ben }) => {
  await freeze(ann);
  await ben.post("while the page was frozen");
  await cache(ann, "pageshow");
  await shows(ann, "while the page was frozen");
  await ben.post("after that");
  await shows(ann, "after that");
  const said = (await texts(ann)).filter((text) => text === "while the page was frozen");
  expect(said).toHaveLength(1);
});

test("a page from the back/forward cache hides the conversation when its session is over", async ({
  ann,
}) => {
  await say(ann, "in confidence");
  await shows(ann, "in confidence");
  await freeze(ann);
  const tab = await anotherTab(ann);
  await tab.click("text=Log out");
  await tab.waitForURL("**/login");
  await cache(ann, "pageshow");
  await ann.waitForSelector("#status.stopped");
  expect(await ann.getByText("in confidence").isVisible()).toBe(false);
});
