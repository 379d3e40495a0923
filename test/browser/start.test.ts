/** The start of the page's script in unusual browsers, and the page when the script fails to start. */
import type { Browser, BrowserContext, Page, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, enter, openBrowser, say, shows } from "./browser.js";

let server: Server;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let count = 0;
/** The name of this test alone. */
let name: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer("--login-rate", "0", "--post-rate", "0"),
    openBrowser(),
  ]);
});
beforeEach(async () => {
  name = `Ann ${++count}`;
  context = await browser.newContext();
  page = await context.newPage();
});
afterEach(async () => {
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await context.close();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

describe("the script starts", () => {
  test.each(["C", "a", "en-US@posix", ""])("with the browser language %j", async (language) => {
    await context.addInitScript((value) => {
      Object.defineProperty(navigator, "language", { value });
    }, language);
    await enter(page, server.url, name);
    await connected(page);
    await say(page, "hello");
    await shows(page, "hello");
    expect(await page.textContent("#messages > li.own time")).toMatch(/^\d?\d:\d\d/);
  });

  test.each(["{broken", "null", '[{"key":1},7]', '{"length":3}'])(
    "with the corrupt outbox %j in sessionStorage",
    async (corrupt) => {
      await context.addInitScript((value) => {
        sessionStorage.setItem(`outbox ${location.pathname}`, value);
      }, corrupt);
      await enter(page, server.url, name);
      await connected(page);
      await say(page, "hello");
      await shows(page, "hello");
      await page.waitForSelector("#outbox > li", { state: "detached" });
    },
  );

  test("without the functions that Chrome 86, Firefox 90 and Safari 15 lack", async () => {
    await context.addInitScript(() => {
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
    await enter(page, server.url, name);
    await connected(page);
    await say(page, "hello");
    await shows(page, "hello");
    await page.click("summary");
    await page.waitForFunction((me) => document.querySelector("#people ul")?.textContent?.includes(me), name);
    expect(errors).toEqual([]);
  });
});

test("without dvh and field-sizing, the box stays in view, the page follows, and the box has no scrollbar", async () => {
  await context.addInitScript(() => {
    CSS.supports = () => false;
  });
  await page.route("**/chat.css", async (route) => {
    const response = await route.fetch();
    const style = await response.text();
    const body = style.replace("(height: 1dvh)", "(height: 1no)").replace("field-sizing: content;", "");
    if (body.length !== style.length - 23) throw new Error("the style has changed");
    await route.fulfill({ response, body });
  });
  await enter(page, server.url, name);
  await connected(page);
  const ben = await Person.login(server.url, `Ben ${name}`);
  for (let n = 0; n < 40; n++) await ben.post(`line ${n}`);
  await shows(page, "line 39");
  const look = () =>
    page.$eval("#message", (box) => ({
      below: box.getBoundingClientRect().bottom - innerHeight,
      hidden: box.scrollHeight - box.clientHeight,
    }));
  for (const lines of ["", "one\ntwo\nthree"]) {
    await page.fill("#message", lines);
    const { below, hidden } = await look();
    expect(below).toBeLessThan(0);
    expect(hidden).toBeLessThanOrEqual(0);
  }
  expect(await page.getByText("line 39", { exact: true }).isVisible()).toBe(true);
  expect(await page.$eval("#scroller", (scroller) => scroller.scrollHeight > scroller.clientHeight)).toBe(
    true,
  );
  ben.close();
});

describe("if the script fails to start, the page says so and refreshes itself", () => {
  const failures: [string, (route: Route) => Promise<void>][] = [
    ["it throws", (route) => route.fulfill({ contentType: "text/javascript", body: "null.x" })],
    [
      "it cannot be parsed",
      (route) => route.fulfill({ contentType: "text/javascript", body: "class { # }" }),
    ],
    ["it is not found", (route) => route.fulfill({ status: 404 })],
    ["it cannot be loaded", (route) => route.abort()],
    [
      "it throws after it has set up the message box",
      async (route) => {
        const response = await route.fetch();
        const script = await response.text();
        const broken = script.replace("new SharedPoll(", "new (class { constructor() { null.x } })(");
        if (broken === script) throw new Error("the script has changed");
        await route.fulfill({ response, body: broken });
      },
    ],
  ];

  test.each(failures)("%s", async (_, fail) => {
    await page.route("**/client/page.js", fail);
    const ben = await Person.login(server.url, `Ben ${name}`);
    await ben.post("before");
    await enter(page, server.url, name);
    // Every 20 seconds; here, as soon as possible.
    await page.route("**/chatroom/**", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace('content="20"', 'content="1"');
      await route.fulfill({ response, body });
    });
    await page.goto(page.url());
    await page.getByText("Live updates failed to start.").waitFor();
    await page.getByText("this page refreshes every 20 seconds").waitFor();
    await ben.post(`meanwhile ${name}`);
    await page.getByText(`meanwhile ${name}`).waitFor();
    const { at } = (await ben.batch("since=0&wait=0")).messages[0] ?? { at: 0 };
    const times = await page.$$eval("#messages time", (all) => all.map((time) => time.textContent));
    expect(times[0]).toBe(new Date(at).toISOString().slice(11, 16).replace(/^0/, ""));
    await page.click("footer a:last-child");
    await page.waitForURL("**/?still");
    await page.getByText("Refresh is paused").waitFor();
    await page.fill("#message", `by the form ${name}`);
    await page.click("#composer button");
    await shows(page, `by the form ${name}`);
    ben.close();
  });

  test("but a later error changes nothing", async () => {
    await enter(page, server.url, name);
    await connected(page);
    await page.evaluate(() => {
      setTimeout(() => {
        throw new Error("of an extension");
      });
    });
    await page.waitForEvent("pageerror");
    await say(page, "still live");
    await shows(page, "still live");
    expect(await page.textContent("#status")).toBe("Connected");
  });
});

test("an HTML reply of a firewall does not end the poll, and the page offers a reload", async () => {
  await enter(page, server.url, name);
  await connected(page);
  await page.route("**/get_post/**", (route) =>
    route.fulfill({ status: 403, contentType: "text/html", body: "<h1>Blocked</h1>" }),
  );
  const ben = await Person.login(server.url, `Ben ${name}`);
  await ben.post("one");
  await page.click("#status.waiting >> text=Reload");
  await page.waitForURL("**/chatroom/*/");
  await page.getByText("one").waitFor();
  await page.waitForSelector("#status.waiting");
  await page.unroute("**/get_post/**");
  await connected(page);
  ben.close();
});

test("a pending message leaves within a second of the poll, which is live a second after the network", async () => {
  await page.clock.install();
  await enter(page, server.url, name);
  await connected(page);
  await page.clock.pauseAt(new Date(Date.now() + 3_600_000));
  await connected(page);
  await context.setOffline(true);
  await page.waitForSelector("#status.waiting", { state: "attached" });
  await say(page, "from the tunnel");
  // The poll and the post are in long pauses now.
  for (let second = 0; second < 25; second++) await page.clock.runFor(1000);
  expect(await page.textContent("#outbox .pending > p")).toBe("from the tunnel");
  await context.setOffline(false);
  await page.waitForFunction(() => navigator.onLine);
  // The page's clock is stopped but for these two seconds. A wake-up ends a pause after one second at the earliest.
  await page.clock.runFor(1000);
  await connected(page);
  await page.clock.runFor(1000);
  await shows(page, "from the tunnel");
});

test("a message that could not be sent for a minute leaves when the poll is live again", async () => {
  await page.clock.install();
  await enter(page, server.url, name);
  await connected(page);
  await context.setOffline(true);
  await say(page, "after a long time");
  for (let second = 0; second < 70; second++) await page.clock.runFor(1000);
  await page.waitForSelector("#outbox .failed");
  await context.setOffline(false);
  await shows(page, "after a long time");
  await page.waitForSelector("#outbox > li", { state: "detached" });
});
