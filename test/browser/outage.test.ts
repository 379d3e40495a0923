/** The page while the server, the network or the page itself is away. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, join, openBrowser, say, shows, texts } from "./browser.js";

let server: Server;
let browser: Browser;
let data: string;

beforeAll(async () => {
  data = await mkdtemp(path(tmpdir(), "holdline-"));
  [server, browser] = await Promise.all([startServer("--data", data), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await rm(data, { recursive: true });
});

const status = (page: Page) => page.textContent("#status");
const lost = (page: Page) => page.waitForSelector("#status.waiting", { state: "attached" });

test.each<NodeJS.Signals>(["SIGTERM", "SIGKILL"])(
  "after %s of the server, every page says so, reconnects, and shows each message of the meantime once",
  async (signal) => {
    const ann = await join(browser, server.url, `Ann ${signal}`);
    const bob = await join(browser, server.url, `Bob ${signal}`);
    await say(ann, `before ${signal}`);
    await shows(bob, `before ${signal}`);
    await server.stop(signal);
    await Promise.all([lost(ann), lost(bob)]);
    expect(["Connection lost. Trying again…", "The server is restarting…"]).toContain(await status(bob));
    await say(ann, `during ${signal}`);
    expect(await ann.textContent("#outbox .pending > p")).toBe(`during ${signal}`);
    server = await startServer("--data", data, "--port", `${server.port}`);
    await Promise.all([connected(ann), connected(bob)]);
    await shows(bob, `during ${signal}`);
    await say(bob, `after ${signal}`);
    for (const page of [ann, bob]) {
      await shows(page, `after ${signal}`);
      const said = (await texts(page)).filter((text) => text.endsWith(signal));
      expect(said).toEqual([`before ${signal}`, `during ${signal}`, `after ${signal}`]);
    }
    await ann.waitForSelector("#outbox > li", { state: "detached" });
    await Promise.all([ann, bob].map((page) => page.context().close()));
  },
);

test("a page that is offline says so, and catches up when it is back", async () => {
  const ann = await join(browser, server.url, "Ann in a tunnel");
  const cat = await Person.login(server.url, "Cat");
  await ann.context().setOffline(true);
  await lost(ann);
  expect(await status(ann)).toBe("You are offline.");
  await say(ann, "from the tunnel");
  await cat.post("meanwhile");
  await ann.context().setOffline(false);
  await shows(ann, "meanwhile");
  await shows(ann, "from the tunnel");
  await connected(ann);
  const said = (await texts(ann)).filter((text) => text === "meanwhile" || text === "from the tunnel");
  expect(said.sort()).toEqual(["from the tunnel", "meanwhile"]);
  cat.close();
  await ann.context().close();
});

test("a page is live again after a step back in the history", async () => {
  const ann = await join(browser, server.url, "Ann elsewhere");
  const cat = await Person.login(server.url, "Dan");
  await ann.goto(`${server.url}/healthz`);
  await cat.post("while Ann was elsewhere");
  // Not `goBack`, which waits for a load that a page from the back/forward cache does not have.
  await ann.evaluate(() => history.back());
  await shows(ann, "while Ann was elsewhere");
  await cat.post("now she is back");
  await shows(ann, "now she is back");
  cat.close();
  await ann.context().close();
});

// Chromium keeps no page in its back/forward cache that read a no-store reply. Other browsers may, so the test
// dispatches the events of that cache.
test("a page from the back/forward cache polls again from its cursor", async () => {
  const ann = await join(browser, server.url, "Ann, frozen");
  const cat = await Person.login(server.url, "Eve");
  const left = ann.waitForRequest("**/leave/**");
  await ann.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await left;
  await cat.post("while the page was frozen");
  const polled = ann.waitForRequest("**/get_post/**");
  await ann.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await polled;
  await shows(ann, "while the page was frozen");
  await cat.post("after that");
  await shows(ann, "after that");
  const said = (await texts(ann)).filter((text) => text === "while the page was frozen");
  expect(said.length).toBe(1);
  cat.close();
  await ann.context().close();
});

test("a page from the back/forward cache hides the conversation when its session is over", async () => {
  const ann = await join(browser, server.url, "Ann, gone");
  await say(ann, "in confidence");
  await shows(ann, "in confidence");
  const left = ann.waitForRequest("**/leave/**");
  await ann.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await left;
  const tab = await ann.context().newPage();
  await tab.goto(ann.url());
  await tab.click("text=Log out");
  await tab.waitForURL("**/login");
  await ann.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await ann.waitForSelector("#status.stopped");
  expect(await ann.getByText("in confidence").isVisible()).toBe(false);
  await ann.context().close();
});
