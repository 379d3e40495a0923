/** Parts of the page that are the same in every engine: times, colours, gaps, and its head. */
import { expect, onTestFinished } from "vitest";
import { connected, enter, inRoom, leave, shows, texts } from "./browser.js";

const test = inRoom("--backlog", "100");
const AT = Date.UTC(2026, 0, 2, 8, 3, 4);

test.for([
  ["en-US", "Europe/Paris", /^9:03\sAM$/, /^Friday, January 2, 2026\D+9:03\sAM$/],
  ["en-GB", "Asia/Kathmandu", /^13:48$/, /^Friday,? 2 January 2026\D+13:48$/],
  ["zh-CN", "Europe/Paris", /^9:03$/, /^2026年1月2日星期五\s*0?9:03$/],
] as const)(
  "in %s and %s, a time looks like %s, and the full date is its title",
  async ([locale, timezoneId, clock, full], { browser, server, ben, me }) => {
    const page = await (await browser.newContext({ timezoneId, locale })).newPage();
    onTestFinished(() => leave(page));
    // The server's HTML has the time as well.
    await page.route("**/chatroom/**", async (route) => {
      const response = await route.fetch();
      const html = (await response.text()).replace(
        /datetime="[^"]*"/g,
        `datetime="${new Date(AT).toJSON()}"`,
      );
      await route.fulfill({ response, body: html });
    });
    await page.route("**/get_post/**", async (route) => {
      const response = await route.fetch();
      const batch: { messages: { at: number }[] } = await response.json();
      for (const message of batch.messages) message.at = AT;
      await route.fulfill({ response, json: batch });
    });
    await ben.post(`in the page for ${me}`);
    await enter(page, server.url, me);
    // Playwright does not show redirected requests to the route.
    await page.reload();
    await connected(page);
    await ben.post(`live for ${me}`);
    await shows(page, `live for ${me}`);
    const times = page.locator("#messages > li:not(.notice) > time");
    for (const time of [times.first(), times.last()]) {
      expect(await time.textContent()).toMatch(clock);
      expect(await time.getAttribute("title")).toMatch(full);
    }
  },
);

test("the conversation reports a gap", async ({ ann, ben }) => {
  await ann.context().setOffline(true);
  for (let n = 0; n < 110; n++) await ben.post(`while you were away ${n}`);
  await ann.context().setOffline(false);
  await shows(ann, "while you were away 109");
  expect(await ann.textContent("#messages > li.gap")).toMatch(/^Some messages are missing here/);
  // What is still kept follows, in order; notices, too, count in the backlog.
  const kept = Array.from({ length: 90 }, (_, n) => `while you were away ${n + 20}`);
  expect((await texts(ann)).slice(-90)).toEqual(kept);
});
