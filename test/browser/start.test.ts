/** The start of the page's script in unusual browsers, and the page when the script fails to start. */
import type { Route } from "playwright-core";
import { describe, expect } from "vitest";
import { connected, enter, inRoom, say, sent, shows } from "./browser.js";

const test = inRoom();
const SCRIPT = "**/client/page.js";

describe("the script starts", () => {
  test.for(["C", "en-US@posix", ""])(
    "with the browser language %j",
    async (language, { page, server, me }) => {
      await page.addInitScript((value) => {
        Object.defineProperty(navigator, "language", { value });
      }, language);
      await enter(page, server.url, me);
      await connected(page);
      await say(page, "hello");
      await shows(page, "hello");
      expect(await page.textContent("#messages > li.own time")).toMatch(/^\d?\d:\d\d/);
    },
  );

  test("with a corrupt outbox in sessionStorage", async ({ ann }) => {
    for (const corrupt of ["{broken", "null", '[{"key":1},7]', '{"length":3}']) {
      // An init script runs after the page before has stored its outbox.
      await ann.addInitScript((value) => {
        sessionStorage.setItem(`outbox ${location.pathname}`, value);
      }, corrupt);
      await ann.reload();
      await connected(ann);
      await say(ann, corrupt);
      await shows(ann, corrupt);
      await sent(ann);
    }
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

  test("the page refreshes itself, and posts by its form", async ({ ann, ben, me }) => {
    await ann.route(SCRIPT, async (route) => {
      const response = await route.fetch();
      const script = await response.text();
      // It throws after it has set up the message box.
      const body = script.replace("new SharedPoll(", "new (class { constructor() { null.x } })(");
      if (body === script) throw new Error("the script has changed");
      await route.fulfill({ response, body });
    });
    // Every 20 seconds; here, as soon as possible.
    await ann.route("**/chatroom/**", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace('content="20"', 'content="1"');
      await route.fulfill({ response, body });
    });
    await ann.goto(ann.url());
    await ann.getByText("Live updates failed to start.").waitFor();
    await ben.post(`meanwhile ${me}`);
    await ann.getByText(`meanwhile ${me}`).waitFor();
    const { at } = (await ben.batch("since=0&wait=0")).messages[0] ?? { at: 0 };
    const time = await ann.locator("#messages time").first().textContent();
    expect(time).toBe(new Date(at).toISOString().slice(11, 16).replace(/^0/, ""));
    await ann.click("footer a:last-child");
    await ann.waitForURL("**/?still");
    await ann.getByText("Refresh is paused").waitFor();
    await ann.fill("#message", `by the form ${me}`);
    await ann.click("#composer button");
    await shows(ann, `by the form ${me}`);
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
