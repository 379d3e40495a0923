/** Accessibility: axe-core finds no violation, controls are large, the keyboard can do everything, and the focus is visible. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { start } from "../wire/chat.js";
import { Person } from "../wire/person.js";
import { connected, enter, goLive, inRoom, leave, shows } from "./browser.js";

const test = inRoom();
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Expects that every control, but for links in messages, is large enough for a finger. */
async function expectLarge(page: Page): Promise<void> {
  const small = await page.$$eval("a, button, input, textarea, summary", (controls) =>
    controls.flatMap((control) => {
      const { width, height } = control.getBoundingClientRect();
      const isShown = control.checkVisibility() && !control.matches(".skip, p[dir] a");
      return isShown && (width < 44 || height < 44) ? [`${width} × ${height} ${control.outerHTML}`] : [];
    }),
  );
  expect(small).toEqual([]);
}

/** Expects large controls and no violation of axe's rules, in light and in dark. */
async function expectAccessible(page: Page): Promise<void> {
  await expectLarge(page);
  await page.evaluate(axeSource);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(() => {
      const { run }: typeof axe = Reflect.get(globalThis, "axe");
      return run(document).then(({ violations }) => violations);
    });
    expect(found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
  }
}

test("on a phone, no page and no state of the room violates a rule, and every control has 44 px", async ({
  browser,
}) => {
  const { url } = await start();
  const phone = { hasTouch: true, viewport: { width: 320, height: 560 } };
  const page = await (await browser.newContext(phone)).newPage();
  await page.goto(`${url}/login`);
  await expectAccessible(page);
  await page.fill("#name", "a/b");
  await page.tap("form button");
  await page.waitForSelector("#reason:not(:empty)");
  await expectAccessible(page);
  await page.goto(`${url}/nothing/here`);
  await expectAccessible(page);
  await goLive(page, url, "Ann");
  await page.waitForSelector(".invite");
  await page.fill("#message", "x".repeat(2100));
  await page.waitForSelector("#count.wrong");
  await expectAccessible(page);
  // Names in all eight colours.
  for (let n = 0; n < 16; n++) {
    const other = await Person.login(url, `${n}`);
    await other.post("a link: https://example.com/ and `more`:\n```\nlet code;\n```");
    other.close();
  }
  const say = async (text: string) => {
    await page.fill("#message", text);
    await page.tap("#composer button");
  };
  await say("my `own`");
  await shows(page, "my own");
  await page.tap("summary");
  await page.waitForSelector("#people li");
  const json = { error: { code: "too_large", message: "no" } };
  await page.route("**/put_post/**", (route) => route.fulfill({ status: 413, json }));
  await say("refused");
  await page.waitForSelector(".failed");
  await expectAccessible(page);
  await page.unroute("**/put_post/**");
  await page.context().setOffline(true);
  await say("on its way");
  await page.waitForSelector("#status.waiting");
  await expectAccessible(page);
  await page.context().setOffline(false);
  await page.request.post(`${url}/logout`);
  await page.getByText("Log in again").waitFor();
  await expectLarge(page);
  await leave(page);
  const plain = await (await browser.newContext({ ...phone, javaScriptEnabled: false })).newPage();
  await enter(plain, url, "Ann");
  await expectLarge(plain);
  await plain.goto(`${url}/login`); // with a link back to the room
  await expectLarge(plain);
  await leave(plain);
});

/** The focused element, and whether its focus is visible. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element ?? document.body);
    const seen = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
    return { what: element?.id || element?.textContent?.trim() || element?.nodeName, seen };
  });

test("a person with a keyboard logs in, writes, reads, opens the list of people and logs out, with a visible focus", async ({
  page,
  server,
  ben,
}) => {
  for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
  /** Presses a key. Another element has the focus then, visibly. */
  const press = async (key: string, what: unknown) => {
    await page.keyboard.press(key);
    expect(await focused(page)).toEqual({ what, seen: true });
  };
  await page.goto(`${server.url}/login`);
  expect(await focused(page)).toEqual({ what: "name", seen: true });
  await page.keyboard.type("Ann, typing");
  await press("Tab", "Join the room");
  await page.keyboard.press("Enter");
  await connected(page);
  expect(await page.getByRole("status").textContent()).toBe("Connected");
  expect(await focused(page)).toEqual({ what: "message", seen: true });
  await page.keyboard.type("by keyboard");
  await press("Tab", "Send");
  await press("Enter", "message");
  // The conversation is a live region.
  await page.getByRole("log", { name: "Conversation" }).getByText("by keyboard").waitFor();
  await press("Shift+Tab", "scroller");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => (document.querySelector("#scroller")?.scrollTop ?? 0) < -1000);
  await ben.post("new");
  await page.waitForSelector("button.newer:not([hidden])");
  await press("Tab", "1 new message");
  await press("Enter", "scroller");
  expect(await page.$eval("#scroller", ({ scrollTop }) => Math.round(scrollTop))).toBe(0);
  await press("Shift+Tab", "Log out");
  await press("Shift+Tab", "here");
  await press("Shift+Tab", "Skip to message box");
  await press("Enter", "message");
  for (let n = 0; n < 3; n++) await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("list").getByText("Ann, typing").first().waitFor();
  await press("Escape", "here");
  expect(await page.getAttribute("#people", "open")).toBe(null);
  await press("Tab", "Log out");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/login");
});
