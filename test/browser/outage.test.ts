/** The page while the network or the page itself is away, and when it closes. */
import { expect } from "vitest";
import { connected, inRoom, say, shows, texts } from "./browser.js";

const test = inRoom("--backlog", "100");

test("a page that is offline says so, asks before it closes, and reports a gap when it is back", async ({
  ann,
  ben,
}) => {
  await ann.context().setOffline(true);
  await ann.waitForSelector("#status.waiting", { state: "attached" });
  expect(await ann.textContent("#status")).toBe("You are offline.");
  await say(ann, "from the tunnel");
  const asked = ann.waitForEvent("dialog");
  await ann.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.dismiss();
  for (let n = 0; n < 110; n++) await ben.post(`meanwhile ${n}`);
  await ann.context().setOffline(false);
  await shows(ann, "meanwhile 109");
  await shows(ann, "from the tunnel");
  await connected(ann);
  expect(await ann.textContent("#messages > li.gap")).toMatch(/^Some messages are missing here/);
  // What is still kept follows, in order; notices, too, count in the backlog.
  const kept = (await texts(ann)).filter((text) => text.startsWith("meanwhile"));
  expect(kept.slice(-80)).toEqual(Array.from({ length: 80 }, (_, n) => `meanwhile ${n + 30}`));
});

test("the page says why it waits or has stopped, and offers a reload where one helps", async ({ ann }) => {
  const error = (code: string) => ({ error: { code, message: "no" } });
  const batch = { cursor: "1-0", present: 1, messages: [] };
  const cases: [status: number, json: object, text: string][] = [
    [503, error("too_many_waiters"), "The room is full. Trying again…"],
    [503, error("draining"), "The server is restarting…"],
    [200, { ...batch, retry: 60_000 }, "The server is restarting…"],
    [500, error("internal"), "Connection lost. Trying again…"],
    [403, error("foreign_origin"), "The server has ended the connection. Reload"],
    [200, { ...batch, superseded: true }, "This conversation is open in another window. Reload"],
    // Of a firewall or a Wi-Fi, which does not end the poll.
    [403, {}, "Connection lost. Trying again… Reload"],
  ];
  let reply = {};
  await ann.route("**/get_post/**", (route) => route.fulfill(reply));
  for (const [status, json, text] of cases) {
    reply = { status, json };
    await ann.reload();
    await ann.waitForFunction((text) => document.querySelector("#status")?.textContent === text, text);
  }
  // The polls still fail, because the link is gone after the next one that succeeds.
  await Promise.all([ann.waitForEvent("load"), ann.click("#status a")]);
  await ann.unroute("**/get_post/**");
  await connected(ann);
});

test("a page is live again after a step back in the history, and polls from its cursor when it was frozen", async ({
  ann,
  ben,
  server,
}) => {
  await ann.goto(`${server.url}/healthz`);
  await ben.post("while Ann was elsewhere");
  // Not `goBack`, which waits for a load that a page from the back/forward cache does not have.
  await ann.evaluate(() => history.back());
  await shows(ann, "while Ann was elsewhere");
  // Chromium keeps no page in its back/forward cache that read a no-store reply. Other browsers may, so the test
  // dispatches the events of that cache.
  const cache = (event: "pagehide" | "pageshow") =>
    ann.evaluate((event) => dispatchEvent(new PageTransitionEvent(event, { persisted: true })), event);
  await connected(ann);
  const left = ann.waitForRequest("**/leave/**");
  await cache("pagehide");
  await left;
  await ben.post("while the page was frozen");
  await cache("pageshow");
  await shows(ann, "while the page was frozen");
  await ben.post("after that");
  await shows(ann, "after that");
  expect((await texts(ann)).slice(-3)).toEqual([
    "while Ann was elsewhere",
    "while the page was frozen",
    "after that",
  ]);
});
