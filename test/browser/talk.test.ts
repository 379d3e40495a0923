/** Two people talk in two browsers. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createChat } from "../../src/index.js";
import { type Server, startServer } from "../wire/server.js";
import { connected, join, openBrowser, say, shows, texts } from "./browser.js";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("two people log in and see each other's messages without loading the page again", async () => {
  const [ann, bob] = [await join(browser, server.url, "Ann"), await join(browser, server.url, "Bob")];
  const loads: string[] = [];
  for (const page of [ann, bob]) page.on("framenavigated", (frame) => loads.push(frame.url()));
  await say(ann, "hello");
  await shows(bob, "hello");
  await say(bob, "hi, Ann!");
  await shows(ann, "hi, Ann!");
  expect(await texts(ann)).toEqual(["hello", "hi, Ann!"]);
  expect(await texts(bob)).toEqual(["hello", "hi, Ann!"]);
  expect(loads).toEqual([]);
});

test("under a mount path, everything that the pages ask for is below it", async () => {
  const chat = await createChat({ loginRate: 0, postRate: 0 });
  const outside: string[] = [];
  const mounted = createServer((req, res) => {
    if (!req.url?.startsWith("/deep/down/")) {
      // A browser asks for this icon by itself when a page is no page of ours.
      if (req.url !== "/favicon.ico") outside.push(req.url ?? "");
      res.writeHead(404).end();
      return;
    }
    req.url = req.url.slice("/deep/down".length);
    chat.handler(req, res);
  });
  mounted.listen(0, "127.0.0.1");
  await once(mounted, "listening");
  const { port } = mounted.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/deep/down`;
  const page = await join(browser, url, "Ann?");
  await say(page, "from below");
  await shows(page, "from below");
  await page.click("summary");
  await page.getByRole("list").getByText("Ann?").first().waitFor();
  await page.goto(`${url}/no/such/page`);
  await page.click("text=Back to the room");
  await connected(page);
  await page.click("text=Log out");
  await page.waitForURL("**/deep/down/login");
  expect(outside).toEqual([]);
  await page.context().close();
  await chat.close();
  mounted.closeAllConnections();
  mounted.close();
});

test("who comes to the log-in page while logged in gets back to the room with one click", async () => {
  const page = await join(browser, server.url, "Eve");
  await page.goto(`${server.url}/login`);
  await page.getByText("You are logged in as Eve.").waitFor();
  await page.click("text=Back to the room");
  await connected(page);
  await page.context().close();
});

test("a tab that was logged out in another goes on when it is looked at after one has logged in again", async () => {
  const page = await join(browser, server.url, "Fay");
  const other = await page.context().newPage();
  await other.goto(`${server.url}/chatroom/Fay/`);
  await other.click("text=Log out");
  await page.waitForSelector("#status.stopped");
  await other.fill("#name", "Fay");
  await other.keyboard.press("Enter");
  await connected(other);
  await say(other, "back again");
  // Headless tabs are all in view; this is what the browser tells one that comes to the front.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await shows(page, "back again");
  await connected(page);
  await page.context().close();
});

test("behind a host's log-in the page talks under the host's name, and has no log-out", async () => {
  const chat = await createChat({
    path: "/chat",
    identify: (req) => req.headers["x-user"]?.toString(),
    postRate: 0,
  });
  const host = createServer((req, res) => chat.handler(req, res)).listen(0, "127.0.0.1");
  await once(host, "listening");
  const url = `http://127.0.0.1:${(host.address() as AddressInfo).port}/chat`;
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(url);
  await stranger.getByText("Log in to this site first").waitFor();
  const context = await browser.newContext({ extraHTTPHeaders: { "X-User": "Gil" } });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForURL("**/chat/chatroom/Gil/");
  await connected(page);
  const heard = chat.follow();
  await say(page, "as Gil");
  // Said is not kept yet.
  for await (const { messages } of heard) if (messages.some(({ text }) => text === "as Gil")) break;
  await chat.post({ user: "bot", text: "hello, Gil" });
  await shows(page, "hello, Gil");
  expect(await texts(page)).toEqual(["as Gil", "hello, Gil"]);
  expect(await page.locator("text=Log out").count()).toBe(0);
  await Promise.all([context.close(), stranger.context().close()]);
  await chat.close();
  host.closeAllConnections();
  host.close();
});
