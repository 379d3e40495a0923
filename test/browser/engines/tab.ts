/** A tab of any engine: what WebDriver, which drives WebKit, and Playwright both can do. */
import type { Page } from "playwright-core";
import { openBrowser } from "../browser.js";

/** Time after which `until` rejects. */
const TIMEOUT_MS = 60_000;

/** A tab in a window of its own. Its `navigator.language` is `C`, as on a bare Linux. */
export abstract class Tab {
  /** Loads a page. */
  abstract go(url: string): Promise<void>;
  /** Goes one step back in the history. The page may come from the browser's cache. */
  abstract back(): Promise<void>;
  /** Loads the page again. */
  abstract reload(): Promise<void>;
  /** Changes the size, in pixels. A window of WebKitGTK is at least 447 wide. */
  abstract resize(width: number, height: number): Promise<void>;
  /** Types into an element. */
  abstract type(selector: string, text: string): Promise<void>;
  /** Presses a key in an element. */
  abstract press(selector: string, key: "Enter" | "Shift+Enter"): Promise<void>;
  /** Clicks on an element. */
  abstract click(selector: string): Promise<void>;
  /** Ends the window. */
  abstract close(): Promise<void>;
  /** Returns the value of an expression in the page. */
  protected abstract run<T>(expression: string): Promise<T>;

  /** Calls a function in the page and returns its value. */
  evaluate<T, A extends unknown[]>(run: (...args: A) => T, ...args: A): Promise<Awaited<T>> {
    return this.run(`(${run})(...${JSON.stringify(args)})`);
  }

  /** Waits until a function in the page returns something true, also over navigations. */
  async until<A extends unknown[]>(isSo: (...args: A) => unknown, ...args: A): Promise<void> {
    const call = `(${isSo})(...${JSON.stringify(args)})`;
    const wait = `new Promise((resolve) => {
      const check = () => (${call} ? resolve(true) : requestAnimationFrame(check));
      check();
    })`;
    // A navigation ends the script; then the present page is asked. Without an end, a failed test would go on.
    const end = Date.now() + TIMEOUT_MS;
    while (!(await this.run(wait).catch(() => false)))
      if (Date.now() > end) throw new Error(`not true within ${TIMEOUT_MS} ms: ${call}`);
  }
}

/** A tab of Chromium or Firefox. */
export class PlaywrightTab extends Tab {
  readonly #page: Page;

  private constructor(page: Page) {
    super();
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

  close(): Promise<void> {
    return this.#page.context().close();
  }

  protected run<T>(expression: string): Promise<T> {
    return this.#page.evaluate(expression);
  }
}
