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
import { pass } from "../proxy.js";
import {
  connected,
  enter,
  inEngine,
  isVisible,
  reads,
  reload,
  rewrite,
  say,
  sent,
  shows,
  texts,
} from "./room.js";
import type { Tab } from "./tab.js";

const test = inEngine();

/** Waits for the end of a load. In Firefox, it would interrupt the first navigation of the next test. */
const loaded = (tab: Tab) => tab.until(() => document.readyState === "complete");

/** Returns an empty folder that is removed after the test. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test("after a restart and a crash of the server, the page reconnects, and what was sent meanwhile arrives once", async ({
  tab,
}) => {
  const data = await makeFolder();
  let server = await startServer("--data", data);
  onTestFinished(async () => void (await server.stop()));
  await enter(tab, server.url, "Ann");
  const expected: string[] = [];
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await server.stop(signal);
    await tab.until(() => document.querySelector("#status.waiting"));
    const [status] = await texts(tab, "#status");
    expect(["Connection lost. Trying again…", "The server is restarting…"]).toContain(status);
    await say(tab, `during ${signal}`);
    expect(await texts(tab, "#outbox .pending > p")).toEqual([`during ${signal}`]);
    server = await startServer("--data", data, "--port", `${server.port}`);
    await connected(tab);
    await shows(tab, `during ${signal}`);
    await say(tab, `after ${signal}`);
    await shows(tab, `after ${signal}`);
    await sent(tab);
    expected.push(`during ${signal}`, `after ${signal}`);
    expect(await texts(tab)).toEqual(expected);
  }
});

test("an HTML reply of a firewall does not end the poll, and the page offers a reload", async ({
  room,
  proxy,
  ben,
}) => {
  proxy.handle = (exchange) => {
    if (!exchange.req.url?.startsWith("/get_post/")) return pass(exchange);
    exchange.res.writeHead(403, { "Content-Type": "text/html" }).end("<h1>Blocked</h1>");
  };
  await ben.post("one");
  await room.until(() => document.querySelector("#status.waiting a")?.textContent === "Reload");
  await room.click("#status a");
  await shows(room, "one");
  proxy.handle = pass;
  await connected(room);
});

test("a corrupt outbox in sessionStorage does not stop the script", async ({ room }) => {
  for (const corrupt of ["{broken", "null", '[{"key":1},7]', '{"length":3}']) {
    await room.evaluate((value) => sessionStorage.setItem(`outbox ${location.pathname}`, value), corrupt);
    await reload(room);
    await say(room, corrupt);
    await shows(room, corrupt);
    await sent(room);
  }
});

test("a page whose script fails says so, refreshes itself, posts by its form, and links to earlier messages", async ({
  room,
  proxy,
  ben,
  me,
}) => {
  for (let n = 0; n < 250; n++) await ben.post(`line ${n}`);
  // It throws after it has set up the message box.
  let fail = (script: string) =>
    script.replace("new SharedPoll(", "new (class { constructor() { null.x } })(");
  // It refreshes itself every 20 seconds; here, as soon as possible.
  proxy.handle = (exchange) => {
    const { url = "" } = exchange.req;
    if (url === "/client/page.js") return rewrite(exchange, fail);
    if (!url.endsWith(`/${encodeURIComponent(me)}/`) || exchange.req.method !== "GET") return pass(exchange);
    return rewrite(exchange, (html) => html.replace('content="20"', 'content="1"'));
  };
  await room.reload();
  await reads(room, "#status.stopped", "Live updates failed to start.");
  expect((await texts(room, "#foot"))[0]).toContain("This page refreshes every 20 seconds.");
  const gap = await room.evaluate(() => {
    const { bottom = 0 } = document.querySelector("#foot > p")?.getBoundingClientRect() ?? {};
    return (document.querySelector("#composer")?.getBoundingClientRect().top ?? 0) - bottom;
  });
  expect(gap).toBeCloseTo(8);
  await ben.post(`meanwhile ${me}`);
  await room.until(
    (text) => document.querySelector("#messages")?.textContent?.includes(text),
    `meanwhile ${me}`,
  );
  const { at } = (await ben.batch("since=0&wait=0")).messages.at(-1) ?? { at: 0 };
  const time = new Date(at).toISOString().slice(11, 16).replace(/^0/, "");
  expect((await texts(room, "#messages time")).at(-1)).toBe(time);
  // Now it cannot be parsed.
  fail = () => "class { # }";
  await room.until(() => document.querySelector("#foot a:last-child")?.textContent === "Pause refresh");
  await room.click("#foot a:last-child");
  await room.until(() => location.search === "?still" && document.querySelector("#status.stopped"));
  await room.type("#message", `by the form ${me}`);
  await room.click("#composer button");
  await room.until(
    (text) => document.querySelector("#messages .own")?.textContent?.includes(text),
    `by the form ${me}`,
  );
  await room.click("#history a");
  await room.until(() => location.search.startsWith("?before=") && document.querySelector("#foot p"));
  expect((await texts(room, "#foot"))[0]).toContain("These are earlier messages.");
  await loaded(room);
});

test("an empty room copies its address, until there is a message", async ({ tab }) => {
  const chat = await startChat();
  onTestFinished(chat.close);
  await enter(tab, chat.url, "Ann");
  // Not every browser lets a test read its clipboard. The script has none over plain http.
  const copy = (isAllowed: boolean) =>
    tab.evaluate((isAllowed) => {
      const writeText = async (text: string) => Reflect.set(globalThis, "copied", text);
      const value = isAllowed ? { writeText } : undefined;
      Object.defineProperty(navigator, "clipboard", { value, configurable: true });
      document.querySelector<HTMLElement>(".invite button")?.click();
    }, isAllowed);
  await copy(false);
  const selected = await tab.evaluate(() => {
    const {
      value = "",
      selectionStart,
      selectionEnd,
    } = document.querySelector<HTMLInputElement>(".invite input") ?? {};
    return value.slice(selectionStart ?? 0, selectionEnd ?? 0);
  });
  expect(selected).toBe(`${chat.url}/`);
  expect(await texts(tab, ".invite button")).toEqual(["Copy"]);
  await copy(true);
  await reads(tab, ".invite button", "Copied");
  expect(await tab.evaluate(() => Reflect.get(globalThis, "copied"))).toBe(`${chat.url}/`);
  await say(tab, "hello");
  await shows(tab, "hello");
  expect(await isVisible(tab, ".invite")).toBe(false);
  await tab.until(() => document.querySelector("#history")?.textContent?.startsWith("History begins here: "));
  await reload(tab);
  expect(await isVisible(tab, ".invite")).toBe(false);
});

test("a page whose browser logs in under another name says under which", async ({ room, me }) => {
  const other = `${me} & Co`;
  await room.evaluate(
    (name) =>
      fetch("../../login", { method: "POST", body: new URLSearchParams({ name }) }).then(() => undefined),
    other,
  );
  // The poll may end before the browser has the new session. The page asks again when the user sees it.
  await room.until(() => document.querySelector("#status.stopped"));
  await room.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await room.until(
    (text) => document.querySelector("#status")?.textContent?.includes(text),
    `You are logged in as ${other} now.`,
  );
  // The page may replace the link between a search for it and a click.
  await room.evaluate(() => document.querySelector<HTMLElement>("#status a")?.click());
  await room.until((name) => document.querySelector("#me")?.textContent === name, other);
  await loaded(room);
});

/** Logs out with the button, and goes one step back. */
async function logOutAndBack(tab: Tab): Promise<void> {
  await tab.click("header form button");
  await tab.until(isLoginForm);
  await tab.evaluate(() => {
    document.body.dataset.left = "";
  });
  await tab.back();
  // The step back takes time, and the present page must not be taken for the one before.
  await tab.until(() => document.body && !("left" in document.body.dataset));
}

/** Whether this is the log-in form, with its styles. */
const isLoginForm = () =>
  location.pathname.endsWith("/login") &&
  document.querySelector("#name") &&
  document.readyState === "complete" &&
  getComputedStyle(document.body).display === "grid";

test("a step back after the log-out shows no conversation", async ({ room }) => {
  await say(room, "in confidence");
  await shows(room, "in confidence");
  await logOutAndBack(room);
  // WebKit brings back the room from its cache, which must find out that the session is over. The others ask the server.
  await room.until(
    () =>
      document.querySelector("#status.stopped") ||
      (location.pathname.endsWith("/login") && document.readyState === "complete"),
  );
  expect(await room.evaluate(() => document.body.innerText)).not.toContain("in confidence");
});

test("over https, a step back after the log-out shows the log-in form", async ({ tab }) => {
  const folder = await makeFolder();
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const ask = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"];
  await promisify(execFile)("openssl", [...ask, "-keyout", key, "-out", cert]);
  const chat = await createChat();
  const secure = createServer({ key: await readFile(key), cert: await readFile(cert) }, chat.handler);
  await once(secure.listen(0, "127.0.0.1"), "listening");
  await enter(tab, `https://127.0.0.1:${(secure.address() as AddressInfo).port}`, "Ann");
  await say(tab, "over https");
  await shows(tab, "over https");
  await logOutAndBack(tab);
  await tab.until(isLoginForm);
  await chat.close();
  secure.close();
  secure.closeAllConnections();
});
