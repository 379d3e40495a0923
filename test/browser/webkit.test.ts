/** The room in WebKit, the engine of Safari. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createChat } from "../../src/index.js";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { ENTER, WebKit } from "./webkit.js";

let folder: string;
let server: Server;
let browser: WebKit;
let ben: Person;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdline-"));
  [server, browser] = await Promise.all([startServer("--data", folder), WebKit.open()]);
  ben = await Person.login(server.url, "Ben");
});
afterAll(async () => {
  ben.close();
  await browser.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

/** Logs in with the form and waits until the page is connected. */
async function enter(url: string, name: string): Promise<void> {
  await browser.go(`${url}/login`);
  await browser.type("#name", `${name}${ENTER}`);
  await connected();
}

const connected = () => browser.until(() => document.querySelector("#status.live"));

/**
 * What was said, in order and without notices, with its places on the screen. First scrolls to so many pixels above the end,
 * if told; then nothing more is loaded yet.
 */
const lines = (distance?: number) =>
  browser.evaluate((distance) => {
    const scroller = document.querySelector("#scroller");
    if (distance !== null) scroller?.scrollTo(0, -distance);
    const { top = 0, bottom = 0 } = scroller?.getBoundingClientRect() ?? {};
    return [...document.querySelectorAll("#scroller li:not(.notice) > p[dir]")].map((p) => {
      const { y } = p.getBoundingClientRect();
      return { text: p.textContent ?? "", y, isSeen: y > top && y < bottom };
    });
  }, distance ?? null);
const texts = async () => (await lines()).map(({ text }) => text);

const shows = (text: string) =>
  browser.until(
    (text) => [...document.querySelectorAll("#messages > li > p")].some((p) => p.textContent === text),
    text,
  );

test("a person enters the room and talks, and all messages are shown once", async () => {
  await ben.post("before");
  await enter(server.url, "Ann");
  await ben.post("hello, Ann");
  await shows("hello, Ann");
  await browser.type("#message", `hello, Ben${ENTER}`);
  await shows("hello, Ben");
  await ben.post("and 你好");
  await shows("and 你好");
  expect(await texts()).toEqual(["before", "hello, Ann", "hello, Ben", "and 你好"]);
  await browser.until(() => document.querySelectorAll("#outbox > li").length === 0);
});

test("the script starts in a browser whose language is no language, and shows the local time", async () => {
  expect(await browser.evaluate(() => navigator.language)).toBe("C");
  const shown = await browser.evaluate(() => document.querySelector("#messages > li.own time")?.textContent);
  expect(shown).toMatch(/^\d?\d:\d\d/);
});

test("a draft survives a reload, and the page is live again", async () => {
  await browser.type("#message", "half a thou");
  await browser.reload();
  await connected();
  await browser.type("#message", `ght${ENTER}`);
  await shows("half a thought");
});

/** Expects that the lines in view have not moved. The places of others are estimates (`content-visibility`). */
async function expectSteady(before: Awaited<ReturnType<typeof lines>>): Promise<void> {
  const after = new Map((await lines()).map(({ text, y }) => [text, y]));
  const seen = before.filter(({ isSeen }) => isSeen);
  expect(seen.length).toBeGreaterThan(5);
  // WebKit scrolls by whole pixels; the heights of lines are none.
  for (const { text, y } of seen) expect(Math.abs((after.get(text) ?? 1e9) - y)).toBeLessThanOrEqual(1);
}

test("a reader further up stays there, and a line and a button mark the new messages", async () => {
  for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
  await shows("line 59");
  const top = () => browser.evaluate(() => document.querySelector("#scroller")?.scrollTop);
  expect(await top()).toBe(0);
  const before = await lines(900);
  await ben.post("news");
  await shows("news");
  await expectSteady(before);
  await browser.until(() => document.querySelector("button.newer")?.textContent === "1 new message");
  await browser.click("button.newer");
  expect(await top()).toBe(0);
  const marked = await browser.evaluate(() => document.querySelector("li.new + li > p")?.textContent);
  expect(marked).toBe("news");
});

test("scrolling to the top loads all earlier messages, and the view does not move", async () => {
  for (let n = 60; n < 300; n++) await ben.post(`line ${n}`);
  await browser.reload();
  await connected();
  const room = await browser.evaluate(() => {
    const { scrollHeight = 0, clientHeight = 0 } = document.querySelector("#scroller") ?? {};
    return scrollHeight - clientHeight;
  });
  const before = await lines(room - 300);
  expect(before.length).toBeLessThan(150);
  await browser.until((n) => document.querySelectorAll("#scroller li > p[dir]").length > n, before.length);
  await expectSteady(before);
  while (
    !(await browser.evaluate(() => document.querySelector("#history")?.textContent?.startsWith("History")))
  )
    await lines(1e6);
  const all = await texts();
  expect(all[0]).toBe("before");
  expect(all.slice(-240)).toEqual(Array.from({ length: 240 }, (_, n) => `line ${n + 60}`));
  expect(all).toEqual([...new Set(all)]);
});

test("a message that is sent while the server is away arrives once when it is back", async () => {
  await server.stop("SIGKILL");
  await browser.until(() => document.querySelector("#status.waiting"));
  await browser.type("#message", `from the tunnel${ENTER}`);
  await browser.until(
    () => document.querySelector("#outbox .pending > p")?.textContent === "from the tunnel",
  );
  server = await startServer("--data", folder, "--port", `${server.port}`);
  await connected();
  await shows("from the tunnel");
  await browser.until(() => document.querySelectorAll("#outbox > li").length === 0);
  expect((await texts()).filter((text) => text === "from the tunnel")).toHaveLength(1);
});

/** Logs out with the button, and goes one step back. */
async function logOutAndBack(): Promise<void> {
  await browser.click("header form button");
  await loginForm();
  await browser.back();
}

/** Waits for the log-in form with its styles. */
const loginForm = () =>
  browser.until(
    () =>
      location.pathname.endsWith("/login") &&
      document.querySelector("#name") &&
      document.readyState === "complete" &&
      getComputedStyle(document.body).display === "grid",
  );

test("a step back after the log-out shows no conversation", async () => {
  await logOutAndBack();
  // WebKit brings back the room from its cache, which must find out that the session is over.
  await browser.until(() => document.querySelector("#status.stopped"));
  expect(
    await browser.evaluate(() => document.querySelector<HTMLElement>("#scroller")?.innerText.trim()),
  ).toBe("");
});

test("over https, a step back after the log-out shows the log-in form", async () => {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const ask = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"];
  await promisify(execFile)("openssl", [...ask, "-keyout", key, "-out", cert]);
  const chat = await createChat();
  const secure = createServer({ key: await readFile(key), cert: await readFile(cert) }, chat.handler);
  secure.listen(0, "127.0.0.1");
  await once(secure, "listening");
  await enter(`https://127.0.0.1:${(secure.address() as AddressInfo).port}`, "Ann");
  await browser.type("#message", `over https${ENTER}`);
  await shows("over https");
  await logOutAndBack();
  await loginForm();
  await chat.close();
  secure.close();
  secure.closeAllConnections();
});
