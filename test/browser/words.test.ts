/** English and Chinese, each by what the browser says it reads. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { connected, inRoom, leave } from "./browser.js";

const test = inRoom();

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

test("a Chinese browser gets Chinese pages, from the log-in to the error, with no English left in them", async ({
  browser,
  server,
  ben,
}) => {
  const page = await (await browser.newContext({ locale: "zh-CN" })).newPage();
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
  await leave(page);
});

test("any other browser gets English pages", async ({ browser, server }) => {
  const page = await (await browser.newContext({ locale: "pt-BR" })).newPage();
  await page.goto(`${server.url}/login`);
  expect(await page.getAttribute("html", "lang")).toBe("en");
  expect(await page.textContent("button")).toBe("Join the room");
  await leave(page);
});
