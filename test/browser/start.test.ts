/** The start of the page's script in unusual browsers, and the page when the script fails to start. */
import type { Route } from "playwright-core";
import { describe, expect } from "vitest";
import { connected, enter, inRoom, say, shows } from "./browser.js";

const test = inRoom();
const SCRIPT = "**/client/page.js";

describe("the script starts", () => {
  test.for(["en-US@posix", ""])("with the browser language %j", async (language, { page, server, me }) => {
    await page.addInitScript((value) => {
      Object.defineProperty(navigator, "language", { value });
    }, language);
    await enter(page, server.url, me);
    await connected(page);
    await say(page, "hello");
    await shows(page, "hello");
    expect(await page.textContent("#messages > li.own time")).toMatch(/^\d?\d:\d\d/);
  });

  test("without the functions that Chrome 86, Firefox 90 and Safari 15 lack", async ({
    page,
    server,
    me,
  }) => {
    await page.addInitScript(() => {
      Reflect.deleteProperty(AbortSignal, "timeout");
      Reflect.deleteProperty(AbortSignal, "any");
      Reflect.deleteProperty(AbortSignal.prototype, "throwIfAborted");
      Reflect.deleteProperty(AbortSignal.prototype, "reason");
      Reflect.deleteProperty(HTMLFormElement.prototype, "requestSubmit");
      Reflect.deleteProperty(Element.prototype, "replaceChildren");
      Reflect.deleteProperty(Array.prototype, "at");
      Reflect.deleteProperty(Crypto.prototype, "randomUUID");
    });
    const errors: Error[] = [];
    page.on("pageerror", (error) => errors.push(error));
    await enter(page, server.url, me);
    await connected(page);
    await say(page, "hello");
    await shows(page, "hello");
    await page.click("summary");
    await page.waitForFunction(
      (user) => document.querySelector("#people ul")?.textContent?.includes(user),
      me,
    );
    expect(errors).toEqual([]);
  });
});

test("without dvh and field-sizing, the box stays in view, the page follows, and the box has no scrollbar", async ({
  page,
  server,
  me,
  ben,
}) => {
  await page.addInitScript(() => {
    CSS.supports = () => false;
  });
  await page.route("**/chat.css", async (route) => {
    const response = await route.fetch();
    const style = await response.text();
    const body = style.replace("(height: 1dvh)", "(height: 1no)").replace("field-sizing: content;", "");
    if (body.length !== style.length - 23) throw new Error("the style has changed");
    await route.fulfill({ response, body });
  });
  await enter(page, server.url, me);
  await connected(page);
  for (let n = 0; n < 40; n++) await ben.post(`line ${n}`);
  await shows(page, "line 39");
  for (const lines of ["", "one\ntwo\nthree"]) {
    await page.fill("#message", lines);
    const { below, hidden } = await page.$eval("#message", (box) => ({
      below: box.getBoundingClientRect().bottom - innerHeight,
      hidden: box.scrollHeight - box.clientHeight,
    }));
    expect(below).toBeLessThan(0);
    expect(hidden).toBeLessThanOrEqual(0);
  }
  expect(await page.getByText("line 39", { exact: true }).isVisible()).toBe(true);
  const { scrollHeight, clientHeight } = await page.$eval("#scroller", ({ scrollHeight, clientHeight }) => ({
    scrollHeight,
    clientHeight,
  }));
  expect(scrollHeight).toBeGreaterThan(clientHeight);
});

describe("if the script fails to start", () => {
  const javascript = (body: string) => (route: Route) =>
    route.fulfill({ contentType: "text/javascript", body });
  // It throws, cannot be parsed, is not found, or cannot be loaded.
  const failures = [
    javascript("null.x"),
    javascript("class { # }"),
    (route: Route) => route.fulfill({ status: 404 }),
    (route: Route) => route.abort(),
  ];
  test("the page says so and has the refresh of a page without scripts", async ({ ann }) => {
    for (const fail of failures) {
      await ann.route(SCRIPT, fail);
      await ann.reload();
      await ann.getByText("Live updates failed to start.").waitFor();
      await ann.getByText("this page refreshes every 20 seconds").waitFor();
      expect(await ann.locator("meta[http-equiv=refresh]").count()).toBe(1);
      await ann.unroute(SCRIPT);
    }
  });

  test("a later error changes nothing", async ({ ann }) => {
    const thrown = ann.waitForEvent("pageerror");
    await ann.evaluate(() => {
      setTimeout(() => {
        throw new Error("of an extension");
      });
    });
    await thrown;
    await say(ann, "still live");
    await shows(ann, "still live");
    expect(await ann.textContent("#status")).toBe("Connected");
  });
});
