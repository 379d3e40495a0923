/** What the tests share that run in all three engines: a chat behind a proxy, and one tab for all tests of a worker. */
import { inRoom } from "../browser.js";
import { type Exchange, pass, startProxy, type TestProxy } from "../proxy.js";
import { PlaywrightTab, type Tab } from "./tab.js";
import { WebKit } from "./webkit.js";

let tab: Promise<Tab> | undefined;

/** Returns the tab of this worker. Opens it in WebKit, or in the browser of the worker. */
function openTab(engine?: string): Promise<Tab> {
  tab ??= engine === "webkit" ? WebKit.open() : PlaywrightTab.open();
  return tab;
}

/** Closes the tab of this worker, if it is open. */
async function closeTab(): Promise<void> {
  const open = await tab;
  tab = undefined;
  await open?.close();
}

/**
 * Returns a test function. Its tests may ask for: `server`, `ben` and `me` as in `inRoom`; `proxy`, through which the tab
 * reaches the server, and which a test may tell what to do with requests; `tab`; `room`, the tab of a person who has entered
 * as `me` and is connected.
 */
export function inEngine() {
  return inRoom()
    .extend("engine", { scope: "worker" }, () => process.env.BROWSER)
    .extend("tab", { scope: "worker" }, async ({ engine }, { onCleanup }) => {
      onCleanup(closeTab);
      return openTab(engine);
    })
    .extend("gate", { scope: "file" }, async ({ server }, { onCleanup }) => {
      const gate = await startProxy(server.url);
      onCleanup(gate.close);
      return gate;
    })
    .extend("proxy", ({ gate }, { onCleanup }) => {
      onCleanup(() => {
        gate.handle = pass;
      });
      return gate;
    })
    .extend("room", async ({ tab, proxy, me }) => {
      await enter(tab, proxy.url, me);
      return tab;
    });
}

/** Logs in with the form and waits until the page is connected. */
export async function enter(tab: Tab, url: string, name: string): Promise<void> {
  await tab.go(`${url}/login`);
  await tab.evaluate(() => document.querySelector<HTMLInputElement>("#name")?.select());
  await tab.type("#name", name);
  await tab.press("#name", "Enter");
  await tab.until(() => location.pathname.includes("/chatroom/") && document.querySelector("#status.live"));
}

export const connected = (tab: Tab) => tab.until(() => document.querySelector("#status.live"));

/** Loads the page again and waits until it is connected. */
export async function reload(tab: Tab): Promise<void> {
  await tab.reload();
  await connected(tab);
}

/** Inserts a text into the message box, in place of what is there. Unlike typing, this is one input, as a paste is. */
export const paste = (tab: Tab, text: string) =>
  tab.evaluate((text) => {
    document.querySelector<HTMLTextAreaElement>("#message")?.select();
    document.execCommand("insertText", false, text);
  }, text);

/** Says something in the room. */
export async function say(tab: Tab, text: string): Promise<void> {
  await paste(tab, text);
  await tab.press("#message", "Enter");
}

/** Waits until a message with this text is in the conversation. */
export const shows = (tab: Tab, text: string) =>
  tab.until(
    (text) => [...document.querySelectorAll("#messages > li > p")].some((p) => p.textContent === text),
    text,
  );

/** Waits until nothing is on its way any more. */
export const sent = (tab: Tab) => tab.until(() => document.querySelector("#outbox > li") === null);

/** Waits until an element has this text. */
export const reads = (tab: Tab, selector: string, text: string) =>
  tab.until((selector, text) => document.querySelector(selector)?.textContent === text, selector, text);

/** Returns the texts of these elements. */
export const texts = (tab: Tab, selector = "#messages > li:not(.notice) > p") =>
  tab.evaluate(
    (selector) => [...document.querySelectorAll(selector)].map(({ textContent }) => textContent ?? ""),
    selector,
  );

/** Whether the user sees this element. */
export const isVisible = (tab: Tab, selector: string) =>
  tab.evaluate((selector) => {
    const element = document.querySelector(selector);
    return (
      element !== null &&
      element.getClientRects().length > 0 &&
      getComputedStyle(element).visibility === "visible"
    );
  }, selector);

/** Sends the reply to an exchange with another text. The browser keeps no copy. */
export async function rewrite({ req, res, ask }: Exchange, change: (text: string) => string): Promise<void> {
  for (const name of ["accept-encoding", "if-none-match"]) delete req.headers[name];
  const reply = await ask();
  const text = (await reply.setEncoding("utf8").toArray()).join("");
  const { etag: _, "content-length": __, ...headers } = reply.headers;
  const changed = change(text);
  if (changed === text) throw new Error(`${req.url} has changed`);
  res.writeHead(reply.statusCode ?? 502, { ...headers, "Cache-Control": "no-store" }).end(changed);
}

/** Lets the proxy hold all posts until the returned function is called. */
export function holdPosts(proxy: TestProxy): () => void {
  const held: Exchange[] = [];
  proxy.handle = (exchange) => {
    if (exchange.req.url?.startsWith("/put_post/")) held.push(exchange);
    else pass(exchange);
  };
  return () => {
    proxy.handle = pass;
    for (const exchange of held) pass(exchange);
  };
}
