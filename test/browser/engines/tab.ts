/** A tab of any engine: what WebDriver, which drives WebKit, and Playwright both can do. */
import type { Page } from "playwright-core";
import { openBrowser } from "../browser.js";

/** A tab in a window of its own. Its `navigator.language` is `C`, as on a bare Linux. */
export interface Tab {
  /** Loads a page. */
  go(url: string): Promise<void>;
  /** One step back in the history. The page may come from the browser's cache. */
  back(): Promise<void>;
  /** Loads the page again. */
  reload(): Promise<void>;
  /** Changes the size, in pixels. A window of WebKitGTK is at least 447 wide. */
  resize(width: number, height: number): Promise<void>;
  /** Types into an element. */
  type(selector: string, text: string): Promise<void>;
  /** Presses a key in an element. */
  press(selector: string, key: "Enter" | "Shift+Enter"): Promise<void>;
  /** Clicks on an element. */
  click(selector: string): Promise<void>;
  /** Calls a function in the page and returns its value. */
  evaluate<T, A extends unknown[]>(run: (...args: A) => T, ...args: A): Promise<Awaited<T>>;
  /** Waits until a function in the page returns something true, also over navigations. */
  until<A extends unknown[]>(run: (...args: A) => unknown, ...args: A): Promise<void>;
  /** Ends the window. */
  close(): Promise<void>;
}

/** A tab of Chromium or Firefox. */
export class PlaywrightTab implements Tab {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  static async open(): Promise<Tab> {
    const context = await (await openBrowser()).newContext({ ignoreHTTPSErrors: true });
    await context.addInitScript(() => Object.defineProperty(navigator, "language", { value: "C" }));
    return new PlaywrightTab(await context.newPage());
  }

  async go(url: string): Promise<void> {
    await this.#page.goto(url);
  }

  async back(): Promise<void> {
    // Not `goBack`, which waits for a load that a page from the back/forward cache does not have.
    await this.#page.evaluate(() => history.back());
  }

  async reload(): Promise<void> {
    await this.#page.reload();
  }

  resize(width: number, height: number): Promise<void> {
    return this.#page.setViewportSize({ width, height });
  }

  type(selector: string, text: string): Promise<void> {
    return this.#page.type(selector, text);
  }

  press(selector: string, key: string): Promise<void> {
    return this.#page.press(selector, key);
  }

  click(selector: string): Promise<void> {
    return this.#page.click(selector);
  }

  evaluate<T, A extends unknown[]>(run: (...args: A) => T, ...args: A): Promise<Awaited<T>> {
    return this.#page.evaluate(`(${run})(...${JSON.stringify(args)})`);
  }

  async until<A extends unknown[]>(run: (...args: A) => unknown, ...args: A): Promise<void> {
    await this.#page.waitForFunction(`(${run})(...${JSON.stringify(args)})`);
  }

  close(): Promise<void> {
    return this.#page.context().close();
  }
}
