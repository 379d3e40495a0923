/** Earlier messages without scripts. Playwright switches scripts off in Chromium only. */
import { expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { startServer } from "../wire/server.js";
import { enter, openBrowser } from "./browser.js";

const COUNT = 280;

test("without scripts, links lead to the first message and back to the newest", async () => {
  const [server, browser] = await Promise.all([startServer("--backlog", "400"), openBrowser()]);
  const ben = await Person.login(server.url, "Ben");
  for (let n = 0; n < COUNT; n++) await ben.post(`line ${n}`);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await enter(page, server.url, "Ann");
  const lines = () => page.$$eval("#scroller li > p[dir]", (all) => all.map((p) => p.textContent ?? ""));
  const seen: string[] = [];
  for (;;) {
    seen.unshift(...(await lines()));
    if ((await page.locator("#history a").count()) === 0) break;
    await page.click("text=Earlier messages");
    await page.waitForURL("**/?before=*");
    expect(await page.locator("meta[http-equiv]").count()).toBe(0);
    expect(await page.textContent("footer noscript")).toContain("These are earlier messages.");
  }
  expect(seen).toEqual(Array.from({ length: COUNT }, (_, n) => `line ${n}`));
  expect(await page.textContent("#history")).toBe("No earlier messages are kept.");
  expect(await page.textContent("footer noscript a")).toBe("Newest messages");
  await page.click("footer noscript a");
  await page.waitForURL("**/Ann/");
  expect((await lines()).slice(-1)).toEqual([`line ${COUNT - 1}`]);
  ben.close();
  await browser.close();
  await server.stop();
});
