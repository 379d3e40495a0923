/** The room in Chromium without scripts. For browsers that know none, see text.test.ts. */
import { expect } from "vitest";
import { enter, inRoom } from "./browser.js";

const test = inRoom("--backlog", "400").extend("options", () => ({ javaScriptEnabled: false }));

test("a person logs in, reads, writes, refreshes the page and logs out", async ({ page, server, ben }) => {
  await ben.post("see https://example.com/\nand the second line");
  await enter(page, server.url, "Ann");
  await page.getByText("and the second line").waitFor();
  expect(await page.getAttribute("#messages p[dir] > a", "href")).toBe("https://example.com/");
  await page.fill("#message", "with\ntwo lines");
  await page.click("text=Send");
  await page.waitForSelector("#messages > li.own");
  expect(await page.innerHTML("#messages > li.own > p")).toBe("with<br>two lines");
  expect(page.url()).toBe(`${server.url}/chatroom/Ann/`);
  await ben.post("an answer");
  await page.click("footer noscript a");
  // The newest is at the bottom, in view, without a script that scrolls.
  expect(await page.getByText("an answer").isVisible()).toBe(true);
  const { y = 0 } = (await page.getByText("an answer").boundingBox()) ?? {};
  expect(y).toBeGreaterThan(200);
  expect(y).toBeLessThan(page.viewportSize()?.height ?? 0);
  await page.click("summary");
  expect(await page.locator("#people li").allTextContents()).toEqual(["Ann (you)"]);
  await page.fill("#message", "x".repeat(2001));
  await page.click("text=Send");
  await page.getByText("Use 1–2,000 characters").waitFor();
  await page.click("text=Back to the room");
  await page.waitForURL("**/chatroom/Ann/");
  await page.click("text=Log out");
  await page.waitForURL("**/login");
});

test("the page refreshes itself unless refresh is paused", async ({ page, server, ben }) => {
  await enter(page, server.url, "Cat");
  // Every 20 seconds; here, as soon as it may.
  await page.route("**/chatroom/**", async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace('content="20"', 'content="1"');
    await route.fulfill({ response, body });
  });
  await page.goto(page.url());
  await ben.post("meanwhile");
  await page.getByText("meanwhile").waitFor();
  await page.click("footer noscript a:last-child");
  await page.waitForURL("**/Cat/?still");
  expect(await page.locator("meta[http-equiv]").count()).toBe(0);
  await page.fill("#message", "a thought, whole");
  await page.click("text=Send");
  await page.waitForURL("**/Cat/");
  await page.getByText("a thought, whole").waitFor();
});

test("links lead to the first message and back to the newest", async ({ page, server, ben }) => {
  const expected = Array.from({ length: 280 }, (_, n) => `line ${n}`);
  for (const line of expected) await ben.post(line);
  await enter(page, server.url, "Dan");
  const lines = () => page.locator("#scroller li > p[dir]").allTextContents();
  const seen: string[] = [];
  for (;;) {
    seen.unshift(...(await lines()));
    if ((await page.locator("#history a").count()) === 0) break;
    await page.click("text=Earlier messages");
    await page.waitForURL("**/?before=*");
    expect(await page.locator("meta[http-equiv]").count()).toBe(0);
    expect(await page.textContent("footer noscript")).toContain("These are earlier messages.");
  }
  expect(seen.slice(-expected.length)).toEqual(expected);
  expect(seen).toEqual([...new Set(seen)]);
  const began = await page.locator("#scroller time").first().getAttribute("title");
  expect(await page.textContent("#history")).toBe(`History begins here: ${began}`);
  expect(await page.textContent("footer noscript a")).toBe("Newest messages");
  await page.click("footer noscript a");
  await page.waitForURL("**/Dan/");
  expect((await lines()).slice(-1)).toEqual(expected.slice(-1));
});
