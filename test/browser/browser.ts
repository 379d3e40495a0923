/** A real browser and what the tests of the pages share. */
import { type Browser, type BrowserContextOptions, chromium, firefox, type Page } from "playwright-core";
import { expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { startServer } from "../wire/server.js";
import { CHROMIUM, FIREFOX } from "./programs.js";

function launch(): Promise<Browser> {
  if (process.env.BROWSER === "firefox")
    return firefox.launch({ channel: "moz-firefox", executablePath: FIREFOX, headless: true });
  return chromium.launch({ executablePath: CHROMIUM });
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
 * no other test has; `page`, in a window of its own, with the `options` that a file may replace; `ann`, the same page of a
 * person who is connected under that name; `ben`, a person without a page, one for the file.
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
      await goLive(page, server.url, me);
      return page;
    });
}

/** Closes a window with all its tabs. */
export async function leave(page: Page): Promise<void> {
  if (!page.isClosed()) await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
}

/** A tab: what `Page` of Playwright and WebDriver, which drives WebKit, can both do. */
export interface Tab {
  goto(url: string): Promise<unknown>;
  /** Loads the page again. */
  reload(): Promise<unknown>;
  /** Returns the value of an expression in the page. */
  evaluate<T>(expression: string): Promise<T>;
  /** Types into an element. */
  type(selector: string, text: string): Promise<unknown>;
  press(selector: string, key: "Enter" | "Shift+Enter"): Promise<unknown>;
  click(selector: string): Promise<unknown>;
  /** Returns whether the user can see an element. */
  isVisible(selector: string): Promise<boolean>;
  /** Changes the size, in pixels. A window of WebKitGTK is at least 447 wide. */
  setViewportSize(size: { width: number; height: number }): Promise<unknown>;
}

/** Calls a function in the page and returns its value. */
export function evaluate<T, A extends unknown[]>(tab: Tab, run: (...args: A) => T, ...args: A) {
  return tab.evaluate<Awaited<T>>(`(${run})(...${JSON.stringify(args)})`);
}

/** Waits until a function in the page returns something true, also over navigations, which end scripts. */
export async function until<A extends unknown[]>(tab: Tab, isSo: (...args: A) => unknown, ...args: A) {
  const call = `Boolean((${isSo})(...${JSON.stringify(args)}))`;
  await expect.poll(() => tab.evaluate(call).catch(() => false), { message: call }).toBe(true);
}

/** Logs in with the form, as a person does; the page is then in the room. */
export async function enter(tab: Tab, url: string, name: string): Promise<void> {
  await tab.goto(`${url}/login`);
  await evaluate(tab, () => document.querySelector<HTMLInputElement>("#name")?.select());
  await tab.type("#name", name);
  await tab.press("#name", "Enter");
  await until(tab, () => location.pathname.includes("/chatroom/") && document.querySelector("#composer"));
}

/** Enters the room and waits until the page is connected. */
export async function goLive(tab: Tab, url: string, name: string): Promise<void> {
  await enter(tab, url, name);
  await connected(tab);
}

/** A new window with cookies of its own, whose person has entered the room and is connected. */
export async function join(browser: Browser, url: string, name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await goLive(page, url, name);
  return page;
}

/** One more tab of the browser that `page` is in, in the same room. */
export async function anotherTab(page: Page): Promise<Page> {
  const tab = await page.context().newPage();
  await tab.goto(page.url());
  await connected(tab);
  return tab;
}

/** Waits until the page says that it is connected. */
export function connected(tab: Tab): Promise<void> {
  return until(tab, () => document.querySelector("#status.live"));
}

/** Loads the page again and waits until it is connected. */
export async function reload(tab: Tab): Promise<void> {
  await tab.reload();
  await connected(tab);
}

/** Inserts a text into the message box, in place of what is there. Unlike typing, this is one input, as a paste is. */
export async function paste(tab: Tab, text: string): Promise<void> {
  await evaluate(tab, () => document.querySelector<HTMLTextAreaElement>("#message")?.select());
  await evaluate(tab, (text) => document.execCommand("insertText", false, text), text);
}

/** Says something in the room. */
export async function say(tab: Tab, text: string): Promise<void> {
  await paste(tab, text);
  await tab.press("#message", "Enter");
}

/** Returns the texts of these elements: by default of the conversation, in order, without notices and what is pending. */
export function texts(tab: Tab, selector = "#messages > li:not(.notice) > p"): Promise<string[]> {
  const read = (all: string) =>
    Array.from(document.querySelectorAll(all), (found) => found.textContent ?? "");
  return evaluate(tab, read, selector);
}

/** Waits until an element contains this text. */
export function reads(tab: Tab, selector: string, text: string): Promise<void> {
  return until(
    tab,
    (...args) => document.querySelector(args[0])?.textContent?.includes(args[1]),
    selector,
    text,
  );
}

/** Waits until a message with this text is in the conversation. */
export function shows(tab: Tab, text: string): Promise<void> {
  const isShown = (text: string) =>
    [...document.querySelectorAll("#messages > li > p")].some((p) => p.textContent === text);
  return until(tab, isShown, text);
}

/** Waits until nothing is on its way any more. */
export function sent(tab: Tab): Promise<void> {
  return until(tab, () => document.querySelector("#outbox > li") === null);
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
