/** What the tests share that run in all three engines: a chat behind a proxy, and tabs in windows of their own. */
import { onTestFinished } from "vitest";
import { goLive, inRoom, openBrowser, type Tab } from "../browser.js";
import { type Exchange, pass, startProxy, type TestProxy } from "../proxy.js";
import { WebKit } from "./webkit.js";

/**
 * Returns a test function. Its tests may ask for: `server`, `ben` and `me` as in `inRoom`; `proxy`, through which a tab
 * reaches the server, and which a test may tell what to do with requests; `join`, which opens the tab of a person who has
 * entered as `me` and is connected.
 */
export function inEngine() {
  return (
    inRoom()
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
      // A function: a fixture that throws is not set up again for the second try of a test.
      .extend("join", ({ proxy, me }) => async () => {
        const tab = await openTab();
        await goLive(tab, proxy.url, me);
        return tab;
      })
  );
}

/** Opens a tab in a window of its own, which is closed after the test. Its `navigator.language` is `C`, as on a bare Linux. */
export async function openTab(): Promise<Tab> {
  if (process.env.BROWSER === "webkit") return WebKit.open();
  const context = await (await openBrowser()).newContext({ ignoreHTTPSErrors: true });
  onTestFinished(() => context.close());
  await context.addInitScript(() => Object.defineProperty(navigator, "language", { value: "C" }));
  return context.newPage();
}

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
