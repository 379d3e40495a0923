/** A real browser and what the tests of the pages share. */
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  firefox,
  type Page,
} from "playwright-core";
import { test } from "vitest";
import { Person } from "../wire/person.js";
import { startServer } from "../wire/server.js";
import { CHROMIUM, FIREFOX } from "./programs.js";

function launch(): Promise<Browser> {
  if (process.env.BROWSER === "firefox")
    return firefox.launch({ channel: "moz-firefox", executablePath: FIREFOX, headless: true });
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

let browser: Promise<Browser> | undefined;

/** Returns the browser that `BROWSER` names, Chromium by default: one for all files of a worker. It ends with the worker. */
export function openBrowser(): Promise<Browser> {
  browser ??= launch();
  return browser;
}

let count = 0;

/**
 * Returns a test function. Its tests may ask for: `server`, one for the file, with these flags; `browser`; `me`, a name that
 * no other test has; `page`, in a window of its own, with the `options` that a file may replace; `ann`, the same page of a person who is connected under that name;
 * `ben`, a person without a page, one for the file.
 */
export function inRoom(...flags: string[]) {
  return test
    .extend("browser", { scope: "file" }, openBrowser)
    .extend("flags", { scope: "file" }, () => flags)
    .extend("server", { scope: "file" }, async ({ flags }, { onCleanup }) => {
      const server = await startServer(...flags);
      onCleanup(async () => void (await server.stop()));
      return server;
    })
    .extend("ben", { scope: "file" }, async ({ server }, { onCleanup }) => {
      const ben = await Person.login(server.url, "Ben");
      onCleanup(() => ben.close());
      return ben;
    })
    .extend("me", () => `Ann ${++count}`)
    .extend("options", (): BrowserContextOptions => ({}))
    .extend("page", async ({ browser, options }, { onCleanup }) => {
      const page = await (await browser.newContext(options)).newPage();
      onCleanup(() => leave(page));
      return page;
    })
    .extend("ann", async ({ page, server, me }) => {
      await enter(page, server.url, me);
      await connected(page);
      return page;
    });
}

/** Closes a window with all its tabs. */
export async function leave(page: Page): Promise<void> {
  if (!page.isClosed()) await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
}

/** Logs in with the form, as a person does; the page is then in the room. */
export async function enter(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}/login`);
  await page.fill("#name", name);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/chatroom/*/");
}

/** A new window with cookies of its own, whose person has entered the room and is connected. */
export async function join(browser: Browser, url: string, name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await enter(page, url, name);
  await connected(page);
  return page;
}

/** One more tab of the browser that `page` is in, in the same room. */
export async function anotherTab(page: Page): Promise<Page> {
  const tab = await page.context().newPage();
  await tab.goto(page.url());
  await connected(tab);
  return tab;
}

/** Opens a browser of a person with `count` tabs. The last one polls while it is open. */
export async function openTabs(browser: Browser, url: string, name: string, count: number): Promise<Page[]> {
  const first = await join(browser, url, name);
  const all = [first];
  while (all.length < count) all.push(await anotherTab(first));
  return all;
}

/** Waits until the page says that it is connected. */
export async function connected(page: Page): Promise<void> {
  await page.waitForSelector("#status.live", { state: "attached" });
}

/** Says something in the room, as a person does. */
export async function say(page: Page, text: string): Promise<void> {
  await page.fill("#message", text);
  await page.press("#message", "Enter");
}

/** The texts in the conversation, in order, without notices and without what is on its way. */
export function texts(page: Page): Promise<string[]> {
  return page.$$eval("#messages > li:not(.notice) > p", (found) => found.map((p) => p.textContent ?? ""));
}

/** Waits until a message with this text is in the conversation. */
export async function shows(page: Page, text: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll("#messages > li > p")].some((p) => p.textContent === wanted),
    text,
  );
}

/** Waits until nothing is on its way any more. */
export async function sent(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector("#outbox > li") === null);
}

/** Holds the requests for a path until the returned function is called. */
export async function hold(page: Page, path: string): Promise<() => void> {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  await page.route(path, async (route) => {
    await opened;
    await route.continue();
  });
  return open;
}

/** Hides the tab, or shows it. A headless tab is always visible, so the page is told so. */
export async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

/** The policy of the pages that has been broken, as the browser tells it; nothing, if all is well. */
export async function watchPolicy(context: BrowserContext): Promise<string[]> {
  const broken: string[] = [];
  await context.exposeFunction("tellViolation", (what: string) => broken.push(what));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      const tell: unknown = Reflect.get(globalThis, "tellViolation");
      if (typeof tell === "function") tell(`${violatedDirective} ${blockedURI}`);
    });
  });
  return broken;
}
