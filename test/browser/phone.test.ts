/** The page on a phone: a coarse pointer and a narrow screen. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { Person } from "../wire/person.js";
import { connected, inRoom, leave, shows } from "./browser.js";

const test = inRoom().extend("options", () => ({ hasTouch: true, viewport: { width: 320, height: 560 } }));

/** Logs in with a finger. */
async function enter(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}/login`);
  await page.fill("#name", name);
  await page.tap("form button");
  await page.waitForSelector("#composer");
}

test("Enter inserts a line, the button sends, and the keyboard shows so", async ({ page, server, me }) => {
  await enter(page, server.url, me);
  await connected(page);
  expect(await page.getAttribute("#message", "enterkeyhint")).toBe("enter");
  expect(await page.getAttribute("#message", "title")).toBe("");
  await page.focus("#message");
  await page.keyboard.type("one");
  await page.keyboard.press("Enter");
  await page.keyboard.type("two");
  expect(await page.inputValue("#message")).toBe("one\ntwo");
  await page.tap("#composer button");
  await shows(page, "one\ntwo");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("message");
});

/** The controls that are smaller than 44 px, without the links in messages. */
const small = (page: Page) =>
  page.$$eval("a, button, input, textarea, summary", (controls) =>
    controls.flatMap((control) => {
      const { width, height } = control.getBoundingClientRect();
      const isShown = control.checkVisibility() && !control.matches(".skip, p[dir] a");
      return isShown && (width < 44 || height < 44) ? [`${width} × ${height} ${control.outerHTML}`] : [];
    }),
  );

test("every control is at least 44 px wide and high", async ({ page, server, me }) => {
  await page.goto(`${server.url}/login`);
  expect(await small(page)).toEqual([]);
  await enter(page, server.url, me);
  await connected(page);
  expect(await small(page)).toEqual([]);
  await page.goto(`${server.url}/login`); // with a link back to the room
  expect(await small(page)).toEqual([]);
  await page.goto(`${server.url}/nothing/here`);
  expect(await small(page)).toEqual([]);
  await page.goto(`${server.url}/`);
  await connected(page);
  await page.route("**/put_post/**", (route) =>
    route.fulfill({ status: 422, json: { error: { code: "bad_message", message: "no" } } }),
  );
  await page.fill("#message", "refused");
  await page.tap("#composer button");
  await page.waitForSelector(".failed");
  await page.request.post(`${server.url}/logout`);
  await page.getByText("Log in again").waitFor();
  expect(await small(page)).toEqual([]);
});

test("every control of the page without scripts is at least 44 px wide and high", async ({
  browser,
  options,
  server,
  me,
}) => {
  const page = await (await browser.newContext({ ...options, javaScriptEnabled: false })).newPage();
  await enter(page, server.url, me);
  expect(await small(page)).toEqual([]);
  await leave(page);
});

test.for(["en", "zh-CN"])(
  "in %s, names of 32 characters and a long link fit a screen of 320 px",
  async (locale, { browser, options, server, ben }) => {
    const page = await (await browser.newContext({ ...options, locale })).newPage();
    const eve = await Person.login(server.url, locale.padEnd(32, "E"));
    await eve.batch("since=now&wait=0");
    await enter(page, server.url, locale.padEnd(32, "W"));
    await connected(page);
    const link = "https://example.com/a/very/long/address/without/any/space/in/it/at/all?and=more&and=more";
    await ben.post(link);
    await shows(page, link);
    await page.tap("summary");
    await page.waitForFunction(() => document.querySelectorAll("#people li").length > 1);
    const wide = await page.$$eval("header > *, #people section, #people bdi, html", (elements) =>
      elements.flatMap((element) => {
        const { left, right } = element.getBoundingClientRect();
        const fits =
          left >= 0 && right <= 320 && (element.nodeName !== "HTML" || element.scrollWidth === 320);
        return fits ? [] : [`${left} to ${right}: ${element.outerHTML}`];
      }),
    );
    expect(wide).toEqual([]);
    eve.close();
    await leave(page);
  },
);
