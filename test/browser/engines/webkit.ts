/** WebKit, driven by the WebDriver protocol over `fetch`, on an X server without a screen. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MINIBROWSER, WEBKIT_DRIVER, XVFB } from "../programs.js";
import { Tab } from "./tab.js";

/** Keys in WebDriver: a modifier stays pressed until the end of the text. */
const KEYS = { Enter: "\uE007", "Shift+Enter": "\uE008\uE007" } as const;
/** The name of the field with an element's id. */
const ELEMENT_ID = "element-6066-11e4-a52e-4f735466cecf";

/** A window of WebKit with cookies of its own. */
export class WebKit extends Tab {
  readonly #session: string;
  readonly #stop: () => Promise<void>;

  private constructor(session: string, stop: () => Promise<void>) {
    super();
    this.#session = session;
    this.#stop = stop;
  }

  /** Opens a window. Each has a driver, because WebKitGTK's driver has one session. Close it in the end. */
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
    });
    const root = `http://127.0.0.1:${port}`;
    while (!(await fetch(`${root}/status`).catch(() => undefined))) await sleep(20);
    const browser = { binary: MINIBROWSER, args: ["--automation"] };
    const capabilities = {
      alwaysMatch: { "webkitgtk:browserOptions": browser, acceptInsecureCerts: true },
    };
    const { sessionId } = await command<{ sessionId: string }>("POST", `${root}/session`, { capabilities });
    const session = `${root}/session/${sessionId}`;
    return new WebKit(session, async () => {
      // In this order, so that no browser is left behind.
      await command("DELETE", session);
      for (const process of [driver, display]) {
        const ended = once(process, "exit");
        process.kill();
        await ended;
      }
    });
  }

  close(): Promise<void> {
    return this.#stop();
  }

  async go(url: string): Promise<void> {
    await this.#post("url", { url });
  }

  async back(): Promise<void> {
    await this.#post("back", {});
  }

  async reload(): Promise<void> {
    await this.#post("refresh", {});
  }

  async resize(width: number, height: number): Promise<void> {
    await this.#post("window/rect", { width, height });
  }

  async type(selector: string, text: string): Promise<void> {
    await this.#post(`element/${await this.#find(selector)}/value`, { text });
  }

  press(selector: string, key: keyof typeof KEYS): Promise<void> {
    return this.type(selector, KEYS[key]);
  }

  async click(selector: string): Promise<void> {
    await this.#post(`element/${await this.#find(selector)}/click`, {});
  }

  protected run<T>(expression: string): Promise<T> {
    return this.#post("execute/sync", { script: `return ${expression}`, args: [] });
  }

  async #find(selector: string): Promise<string> {
    const found = await this.#post<Record<string, string>>("element", {
      using: "css selector",
      value: selector,
    });
    return found[ELEMENT_ID] ?? "";
  }

  #post<T>(name: string, body: object): Promise<T> {
    return command<T>("POST", `${this.#session}/${name}`, body);
  }
}

/** Sends a command and returns its value. @throws Error with WebDriver's error code and message */
async function command<T>(method: string, url: string, body?: object): Promise<T> {
  const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  const { value } = (await response.json()) as { value: T & { error: string; message: string } };
  if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address ? address.port : 0;
}
