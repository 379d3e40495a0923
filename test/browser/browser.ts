/** A real browser for the tests of the pages; one per test file is enough. */
import { type Browser, type BrowserContext, chromium, firefox, type Page } from "playwright-core";
import { CHROMIUM, FIREFOX } from "./programs.js";

/** Starts the browser that `BROWSER` names, Chromium by default. Close it in the end. */
export function openBrowser(): Promise<Browser> {
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
