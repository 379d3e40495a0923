/** The page, where it is the same in every engine: times, people, controls, words, its address, a log-out. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { start } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { anotherTab, connected, goLive, inRoom, join, leave, say, shows } from "./browser.js";

const test = inRoom();

for (const [locale, timezoneId, clock, full] of [
  ["en-US", "Europe/Paris", /^9:03\sAM$/, /^Friday, January 2, 2026\D+9:03\sAM$/],
  ["en-GB", "Asia/Kathmandu", /^13:48$/, /^Friday,? 2 January 2026\D+13:48$/],
] as const) {
  const abroad = test.extend("options", () => ({ locale, timezoneId }));
  abroad(
    `in ${locale} and ${timezoneId}, a time has its usual form, and the full date is its title`,
    async ({ page, server, ben, me }) => {
      await page.route("**/get_post/**", async (route) => {
        const response = await route.fetch();
        const batch: { messages: { at: number }[] } = await response.json();
        for (const message of batch.messages) message.at = Date.UTC(2026, 0, 2, 8, 3, 4);
        await route.fulfill({ response, json: batch });
      });
      await goLive(page, server.url, me);
      await ben.post(`live for ${me}`);
      await shows(page, `live for ${me}`);
      const time = page.locator("#messages > li:not(.notice) > time").last();
      expect(await time.textContent()).toMatch(clock);
      expect(await time.getAttribute("title")).toMatch(full);
    },
  );
}

test("the list of people follows joins and leaves", async ({ page }) => {
  const { url } = await start();
  const ben = await Person.login(url, "Ben");
  await ben.batch("since=now&wait=0");
  await page.clock.install();
  await goLive(page, url, "Ann <b>");
  const people = async () => {
    // The list is fetched every two seconds at most.
    await page.clock.runFor(2000);
    return page.locator("#people li").allTextContents();
  };
  expect(await people()).toEqual(["Ann <b> (you)", "Ben"]);
  await page.click("summary");
  const cat = await Person.login(url, "Cat");
  await cat.batch("since=now&wait=0");
  await expect.poll(people).toEqual(["Ann <b> (you)", "Ben", "Cat"]);
  expect(await page.textContent("summary")).toBe("3 here");
  await cat.ask("logout", { method: "POST" });
  await expect.poll(people).toEqual(["Ann <b> (you)", "Ben"]);
  expect(await page.textContent("summary")).toBe("2 here");
  for (const person of [ben, cat]) person.close();
});

test("a control changes under the pointer, and the list of people has an arrow instead of a triangle", async ({
  ann,
}) => {
  for (const selector of ["#composer button", "header form button", "summary", "#message"]) {
    const look = () =>
      ann.$eval(selector, (control) => {
        const { backgroundColor, borderTopColor } = getComputedStyle(control);
        return [control.outerHTML, backgroundColor, borderTopColor];
      });
    await ann.mouse.move(0, 0);
    const before = await look();
    await ann.hover(selector);
    expect(await look()).not.toEqual(before);
  }
  const arrow = await ann.$eval("summary", (summary) => [
    getComputedStyle(summary).listStyleType,
    getComputedStyle(summary, "::after").borderBottomStyle,
  ]);
  expect(arrow).toEqual(["none", "solid"]);
});

/** The page's words, without what people wrote: runs of Latin letters. */
const latin = (page: Page) =>
  page.evaluate(() => {
    const attributes = [...document.querySelectorAll("[aria-label], [placeholder], [title]")].flatMap(
      (element) => ["aria-label", "placeholder", "title"].map((name) => element.getAttribute(name) ?? ""),
    );
    const copy = document.body.cloneNode(true);
    if (!(copy instanceof HTMLElement)) return [];
    for (const written of copy.querySelectorAll("script, noscript, bdi, p[dir]")) written.remove();
    return [copy.textContent ?? "", ...attributes].join(" ").match(/[A-Za-z]{2,}/g) ?? [];
  });

const chinese = test.extend("options", () => ({ locale: "zh-CN" }));

chinese(
  "a Chinese browser gets Chinese pages, from the log-in to the error, with no English left in them",
  async ({ page, server, ben }) => {
    await page.goto(`${server.url}/login`);
    expect(await page.getAttribute("html", "lang")).toBe("zh-CN");
    expect(await latin(page)).toEqual(["holdline"]);
    await page.fill("#name", "a/b");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#reason:not(:empty)");
    expect(await latin(page)).toEqual(["holdline"]);
    await page.fill("#name", "韩梅梅");
    await page.keyboard.press("Enter");
    await connected(page);
    await page.click("summary");
    await ben.batch("since=now&wait=0");
    await page.getByText("Ben 来了").waitFor();
    expect(await page.textContent("#status")).toBe("已连接");
    expect(await page.textContent("#history")).toMatch(/^聊天记录从这里开始：\d+年\d+月\d+日星期. \d+:\d+$/);
    // It is what stands on the key.
    expect((await latin(page)).filter((word) => word !== "Shift")).toEqual(["holdline"]);
    await page.goto(`${server.url}/nothing`);
    expect(await latin(page)).toEqual([]);
  },
);

test("under a mount path, everything that the pages ask for is below it", async ({ browser }) => {
  const outside: string[] = [];
  const { url: host } = await start({
    wrap: (handler) => (req, res) => {
      const [, inside] = /^\/deep\/down(\/.*)/.exec(req.url ?? "") ?? [];
      if (inside) return handler(Object.assign(req, { url: inside }), res);
      // A browser asks for this icon by itself when a page is no page of ours.
      if (req.url !== "/favicon.ico") outside.push(req.url ?? "");
      res.writeHead(404).end();
    },
  });
  const url = `${host}/deep/down`;
  const page = await join(browser, url, "Ann?");
  await say(page, "from below");
  await shows(page, "from below");
  await page.click("summary");
  await page.getByRole("list").getByText("Ann?").first().waitFor();
  await page.goto(`${url}/no/such/page`);
  await page.click("text=Back to the room");
  await connected(page);
  await page.click("text=Log out");
  await page.waitForURL("**/deep/down/login");
  expect(outside).toEqual([]);
  await leave(page);
});

test("a tab that was logged out in another says so, and goes on when it is looked at after the next log-in", async ({
  ann,
  me,
}) => {
  const other = await anotherTab(ann);
  await other.click("text=Log out");
  await ann.waitForSelector("#status.stopped");
  expect(await ann.textContent("#status")).toBe("You are logged out. Log in again");
  await other.fill("#name", me);
  await other.keyboard.press("Enter");
  await connected(other);
  await say(other, "back again");
  // Headless tabs are all in view; this is what the browser tells one that comes to the front.
  await ann.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await shows(ann, "back again");
  await connected(ann);
});
