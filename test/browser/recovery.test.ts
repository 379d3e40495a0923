/** The page behind a firewall, and its messages after a long time without a network. */
import { expect } from "vitest";
import { connected, enter, inRoom, say, sent, shows } from "./browser.js";

const test = inRoom();

test("a refused cursor ends the poll, and a reload starts from a good one", async ({ ann, ben }) => {
  await ann.route("**/get_post/**", (route) =>
    route.fulfill({ status: 400, json: { error: { code: "bad_cursor", message: "no" } } }),
  );
  await ben.post("two");
  await ann.waitForSelector("#status.stopped");
  await ann.unroute("**/get_post/**");
  await ann.click("#status >> text=Reload");
  await connected(ann);
  await ann.getByText("two").waitFor();
});

test("a pending message leaves within a second of the poll, which is live a second after the network", async ({
  page,
  server,
  me,
}) => {
  await page.clock.install();
  await enter(page, server.url, me);
  await connected(page);
  await page.clock.pauseAt(new Date(Date.now() + 3_600_000));
  await connected(page);
  await page.context().setOffline(true);
  while ((await page.locator("#status.waiting").count()) === 0) await page.clock.runFor(1000);
  await say(page, "from the tunnel");
  // The poll and the post are in long pauses now.
  for (let second = 0; second < 25; second++) await page.clock.runFor(1000);
  expect(await page.textContent("#outbox .pending > p")).toBe("from the tunnel");
  await page.context().setOffline(false);
  await page.waitForFunction(() => navigator.onLine);
  // The page's clock is stopped but for these two seconds. A wake-up ends a pause after one second at the earliest.
  await page.clock.runFor(1000);
  await connected(page);
  await page.clock.runFor(1000);
  await shows(page, "from the tunnel");
});

test("a message that could not be sent for a minute leaves when the poll is live again", async ({
  page,
  server,
  me,
}) => {
  await page.clock.install();
  await enter(page, server.url, me);
  await connected(page);
  await page.context().setOffline(true);
  await say(page, "after a long time");
  while ((await page.locator("#outbox .failed").count()) === 0) await page.clock.runFor(1000);
  await page.context().setOffline(false);
  await shows(page, "after a long time");
  await sent(page);
});
