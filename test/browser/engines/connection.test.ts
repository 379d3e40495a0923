/** The start of the page, its connection and its session, in all three engines. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import { createChat } from "../../../src/index.js";
import { startChat } from "../../wire/chat.js";
import { startServer } from "../../wire/server.js";
import { connected, evaluate, goLive, reads, reload, say, shows, texts, until } from "../browser.js";
import { type Exchange, pass } from "../proxy.js";
import { inEngine, openTab, rewrite } from "./room.js";

const test = inEngine();

/** Returns an empty folder that is removed after the test. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test("after a restart and a crash of the server, the page reconnects, and what was sent meanwhile arrives once", async () => {
  const tab = await openTab();
  const data = await makeFolder();
  let server = await startServer("--data", data);
  onTestFinished(async () => void (await server.stop()));
  await goLive(tab, server.url, "Ann");
  const expected: string[] = [];
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await server.stop(signal);
    await until(tab, () => document.querySelector("#status.waiting"));
    const [status] = await texts(tab, "#status");
    expect(["Connection lost. Trying again…", "The server is restarting…"]).toContain(status);
    await say(tab, `during ${signal}`);
    expect(await texts(tab, "#outbox .pending > p")).toEqual([`during ${signal}`]);
    server = await startServer("--data", data, "--port", `${server.port}`);
    await connected(tab);
    await shows(tab, `during ${signal}`);
    await say(tab, `after ${signal}`);
    await shows(tab, `after ${signal}`);
    expected.push(`during ${signal}`, `after ${signal}`);
    expect(await texts(tab)).toEqual(expected);
  }
});

test("a page whose script fails says so, refreshes itself, posts by its form, and links to earlier messages", async ({
  join,
  proxy,
  ben,
  me,
}) => {
  const room = await join();
  for (let n = 0; n < 110; n++) await ben.post(`line ${n}`);
  // It cannot be loaded.
  let fail = ({ res }: Exchange): unknown => res.destroy();
  // It refreshes itself every 20 seconds; here, as soon as possible.
  proxy.handle = (exchange) => {
    const { url = "" } = exchange.req;
    if (url === "/client/page.js") return fail(exchange);
    if (!url.endsWith(`/${encodeURIComponent(me)}/`) || exchange.req.method !== "GET") return pass(exchange);
    return rewrite(exchange, (html) => html.replace('content="20"', 'content="1"'));
  };
  await room.reload();
  await reads(room, "#status.stopped", "Live updates failed to start.");
  expect((await texts(room, "#foot"))[0]).toContain("This page refreshes every 20 seconds.");
  const gap = await evaluate(room, () => {
    const { bottom = 0 } = document.querySelector("#foot > p")?.getBoundingClientRect() ?? {};
    return (document.querySelector("#composer")?.getBoundingClientRect().top ?? 0) - bottom;
  });
  expect(gap).toBeCloseTo(8);
  // Now it throws after it has set up the message box.
  const end = "new (class { constructor() { null.x } })(";
  fail = (exchange) => rewrite(exchange, (script) => script.replace("new SharedPoll(", end));
  await ben.post(`meanwhile ${me}`);
  await reads(room, "#messages", `meanwhile ${me}`);
  await reads(room, "#status.stopped", "Live updates failed to start.");
  const { text, iso } = await evaluate(room, () => {
    const { textContent: text, dateTime: iso = "" } =
      document.querySelector<HTMLTimeElement>("#messages time") ?? {};
    return { text, iso };
  });
  expect(text).toBe(iso.slice(11, 16).replace(/^0/, ""));
  // Now it cannot be parsed.
  fail = (exchange) => rewrite(exchange, () => "class { # }");
  await reads(room, "#foot a:last-child", "Pause refresh");
  await room.click("#foot a:last-child");
  await until(room, () => location.search === "?still" && document.querySelector("#status.stopped"));
  await room.type("#message", `by the form ${me}`);
  await room.click("#composer button");
  await reads(room, "#messages .own", `by the form ${me}`);
  await room.click("#history a");
  await until(room, () => location.search.startsWith("?before=") && document.querySelector("#foot p"));
  expect((await texts(room, "#foot"))[0]).toContain("These are earlier messages.");
});

test("an empty room copies its address, until there is a message", async () => {
  const tab = await openTab();
  const chat = await startChat();
  onTestFinished(chat.close);
  await goLive(tab, chat.url, "Ann");
  // The script has no clipboard over plain http.
  await evaluate(tab, () =>
    Reflect.defineProperty(navigator, "clipboard", { value: null, configurable: true }),
  );
  await tab.click(".invite button");
  const selected = await evaluate(tab, () => {
    const {
      value = "",
      selectionStart,
      selectionEnd,
    } = document.querySelector<HTMLInputElement>(".invite input") ?? {};
    return value.slice(selectionStart ?? 0, selectionEnd ?? 0);
  });
  expect(selected).toBe(`${chat.url}/`);
  expect(await texts(tab, ".invite button")).toEqual(["Copy"]);
  // Not every browser lets a test read its clipboard.
  await evaluate(tab, () => {
    const writeText = async (text: string) => Reflect.set(globalThis, "copied", text);
    Reflect.defineProperty(navigator, "clipboard", { value: { writeText } });
  });
  await tab.click(".invite button");
  await reads(tab, ".invite button", "Copied");
  expect(await evaluate(tab, () => Reflect.get(globalThis, "copied"))).toBe(`${chat.url}/`);
  await reads(tab, ".invite button", "Copy");
  await say(tab, "hello");
  await shows(tab, "hello");
  expect(await tab.isVisible(".invite")).toBe(false);
  await reads(tab, "#history", "History begins here: ");
  await reload(tab);
  expect(await tab.isVisible(".invite")).toBe(false);
});

test("a page whose browser logs in under another name says under which", async ({ join, me }) => {
  const room = await join();
  const other = `${me} & Co`;
  await evaluate(
    room,
    (name) =>
      fetch("../../login", { method: "POST", body: new URLSearchParams({ name }) }).then(() => undefined),
    other,
  );
  // The poll may end before the browser has the new session. The page asks again when the user sees it.
  await until(room, () => document.querySelector("#status.stopped"));
  await evaluate(room, () => document.dispatchEvent(new Event("visibilitychange")));
  await reads(room, "#status", `You are logged in as ${other} now.`);
  // The page may replace the link between a search for it and a click.
  await evaluate(room, () => document.querySelector<HTMLElement>("#status a")?.click());
  await reads(room, "#me", other);
});

test("a step back after the log-out shows no conversation, and over https the log-in form", async ({
  proxy,
}) => {
  const tab = await openTab();
  const folder = await makeFolder();
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const ask = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"];
  await promisify(execFile)("openssl", [...ask, "-keyout", key, "-out", cert]);
  const chat = await createChat();
  const secure = createServer({ key: await readFile(key), cert: await readFile(cert) }, chat.handler);
  await once(secure.listen(0, "127.0.0.1"), "listening");
  /** Whether this is the log-in form, with its styles. */
  const isLoginForm = () =>
    location.pathname.endsWith("/login") &&
    document.readyState === "complete" &&
    getComputedStyle(document.body).display === "grid";
  for (const url of [proxy.url, `https://127.0.0.1:${(secure.address() as AddressInfo).port}`]) {
    await goLive(tab, url, "Ann");
    await say(tab, "in confidence");
    await shows(tab, "in confidence");
    await tab.click("header form button");
    await until(tab, isLoginForm);
    await evaluate(tab, () => Reflect.set(document.body.dataset, "left", ""));
    await tab.evaluate("history.back()");
    // The step back takes time, and the present page must not be taken for the one before. Over http, WebKit brings back the
    // room from its cache, which must find out that the session is over. The others ask the server.
    await until(tab, () => {
      const isForm = location.pathname.endsWith("/login") && document.readyState === "complete";
      return (
        document.body?.dataset.left === undefined && (isForm || document.querySelector("#status.stopped"))
      );
    });
    expect(await evaluate(tab, () => document.body.innerText)).not.toContain("in confidence");
  }
  await until(tab, isLoginForm);
  await chat.close();
  secure.close();
  secure.closeAllConnections();
});
