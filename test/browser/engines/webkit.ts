/** WebKit, driven by the WebDriver protocol over `fetch`, on an X server without a screen. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { freePort } from "../../conformance/port.js";
import type { Tab } from "../browser.js";
import { MINIBROWSER, WEBKIT_DRIVER, XVFB } from "../programs.js";

/** Keys in WebDriver: a modifier stays pressed until the end of the text. */
const KEYS = { Enter: "\uE007", "Shift+Enter": "\uE008\uE007" } as const;
/** The name of the field with an element's id. */
const ELEMENT_ID = "element-6066-11e4-a52e-4f735466cecf";

/** A window of WebKit with cookies of its own. */
export class WebKit implements Tab {
  private constructor(private readonly session: string) {}

  /** Opens a window, which is closed after the test. Each has a driver, because WebKitGTK's driver has one session. */
  static async open(): Promise<WebKit> {
    const display = spawn(XVFB, ["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [number] = await once(display.stdout, "data");
    const port = await freePort();
    const driver = spawn(WEBKIT_DRIVER, [`--port=${port}`], {
      env: {
        ...process.env,
        DISPLAY: `:${String(number).trim()}`,
        // With this, `navigator.language` is not a language.
        LANG: "C.UTF-8",
        // The sandbox does not start in a container.
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1",
      },
      stdio: "ignore",
      // A group of its own, in which the browser is, too.
      detached: true,
    });
    onTestFinished(async () => {
      // Not by the protocol: at times the driver closes the connection instead of a reply.
      const ended = [once(driver, "exit"), once(display, "exit")];
      if (driver.pid) process.kill(-driver.pid);
      display.kill();
      await Promise.all(ended);
    });
    const root = `http://127.0.0.1:${port}`;
    while (!(await fetch(`${root}/status`).catch(() => undefined))) await sleep(20);
    const browser = { binary: MINIBROWSER, args: ["--automation"] };
    const capabilities = {
      alwaysMatch: { "webkitgtk:browserOptions": browser, acceptInsecureCerts: true },
    };
    const { sessionId } = await command<{ sessionId: string }>(`${root}/session`, { capabilities });
    return new WebKit(`${root}/session/${sessionId}`);
  }

  readonly goto = (url: string) => this.post("url", { url });
  readonly reload = () => this.post("refresh");
  readonly setViewportSize = (size: object) => this.post("window/rect", size);
  readonly type = (selector: string, text: string) => this.onElement(selector, "value", { text });
  readonly press = (selector: string, key: keyof typeof KEYS) => this.type(selector, KEYS[key]);
  readonly click = (selector: string) => this.onElement(selector, "click");
  readonly isVisible = (selector: string) => {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    return this.evaluate<boolean>(`${element}?.checkVisibility({ visibilityProperty: true }) === true`);
  };
  readonly evaluate = <T>(expression: string) =>
    this.post<T>("execute/sync", { script: `return ${expression}`, args: [] });

  private async onElement(selector: string, name: string, body?: object): Promise<unknown> {
    const search = { using: "css selector", value: selector };
    const { [ELEMENT_ID]: id } = await this.post<Record<string, string>>("element", search);
    return this.post(`element/${id}/${name}`, body);
  }

  private post<T>(name: string, body?: object): Promise<T> {
    return command(`${this.session}/${name}`, body);
  }
}

/** Sends a command and returns its value. @throws Error with WebDriver's error code and message */
async function command<T>(url: string, body: object = {}): Promise<T> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  const { value } = (await response.json()) as { value: T & { error: string; message: string } };
  if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
  return value;
}
