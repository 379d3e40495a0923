/** The room in Chromium without scripts, also if a form is submitted twice. For browsers that know none, see text.test.ts. */
import { expect } from "vitest";
import { until } from "../wire/chat.js";
import { login } from "../wire/person.js";
import { enter, inRoom, shows } from "./browser.js";
import { pass, startProxy } from "./proxy.js";

/** `front`: a proxy in front of the server that can lose the reply to a form. */
const test = inRoom()
  .extend("options", () => ({ javaScriptEnabled: false }))
  .extend("front", async ({ page, server }, { onCleanup }) => {
    const proxy = await startProxy(server.url);
    onCleanup(proxy.close);
    /** Clicks, and clicks again when the server has answered, because the reply is lost. */
    const clickTwice = async (selector: string) => {
      const { x = 0, y = 0, width = 0, height = 0 } = (await page.locator(selector).boundingBox()) ?? {};
      // Not `page.click`, which waits for the page to load.
      const click = () => page.mouse.click(x + width / 2, y + height / 2);
      const lost = new Promise<void>((resolve) => {
        proxy.handle = async ({ ask }) => {
          proxy.handle = pass;
          await ask();
          resolve();
        };
      });
      await click();
      await lost;
      await click();
    };
    return { url: proxy.url, clickTwice };
  });

test("a person logs in, reads from the first message to the newest, writes, refreshes the page and logs out", async ({
  page,
  server,
  ben,
}) => {
  for (let n = 0; n < 120; n++) await ben.post(`line ${n}`);
  await ben.post("see https://example.com/\nand the second line");
  await enter(page, server.url, "Ann");
  await page.click("text=Earlier messages");
  await page.waitForURL("**/?before=*");
  const lines = page.locator("#scroller li > p[dir]");
  const shown = await lines.allTextContents();
  expect(shown).toEqual(shown.map((_, n) => `line ${n}`));
  expect(await page.locator("meta[http-equiv]").count()).toBe(0);
  expect(await page.textContent("footer noscript")).toContain("These are earlier messages.");
  const began = await page.locator("#scroller time").first().getAttribute("title");
  expect(await page.textContent("#history")).toBe(`History begins here: ${began}`);
  await page.click("footer noscript a");
  await page.waitForURL("**/Ann/");
  expect(await lines.nth(-2).textContent()).toBe("line 119");
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
  expect(await page.locator("#people li").allTextContents()).toContain("Ann (you)");
  await page.fill("#message", "x".repeat(2001));
  await page.click("text=Send");
  await page.getByText("A message has 1–2,000 characters").waitFor();
  await page.click("text=Back to the room");
  await page.waitForURL("**/chatroom/Ann/");
  await page.click("text=Log out");
  await page.waitForURL("**/login");
});

const WAYS = ["by a double click", "after the first reply was discarded"];
test.for(WAYS)("the log-in form, submitted twice %s, logs in once", async (way, { page, front, me }) => {
  const room = `${front.url}/chatroom/${encodeURIComponent(me)}/`;
  await page.goto(`${front.url}/login`);
  await page.fill("#name", "a/b");
  await page.click("button");
  await page.getByText("Use 1–32 characters").waitFor();
  await page.fill("#name", me);
  if (way === WAYS[0]) await page.dblclick("button");
  else await front.clickTwice("button");
  // `waitForURL` would reject because the second submission aborts the first navigation.
  await until(() => page.url() === room);
  await page.waitForSelector("#composer");
  expect((await login(front.url, me)).status).toBe(409);
  await page.reload();
  await page.waitForSelector("#composer");
  expect(page.url()).toBe(room);
});

test("the message form posts once when its first reply is lost, and later texts once each, also after a step back", async ({
  page,
  front,
  me,
  ben,
}) => {
  /** Returns the texts that the server keeps. */
  const said = async () =>
    (await ben.batch("since=0&wait=0")).messages.flatMap(({ user, text, kind }) =>
      user === me && kind === undefined ? [text] : [],
    );
  await enter(page, front.url, me);
  await page.fill("#message", "once");
  await front.clickTwice("#composer button");
  await shows(page, "once");
  expect(await said()).toEqual(["once"]);
  for (const [index, text] of ["once", "twice", "after a step back"].entries()) {
    if (index === 2) await page.goBack();
    await page.fill("#message", text);
    await page.click("#composer button");
    await expect.poll(() => page.locator("#messages > li.own").count()).toBe(index + 2);
  }
  expect(await said()).toEqual(["once", "once", "twice", "after a step back"]);
});
