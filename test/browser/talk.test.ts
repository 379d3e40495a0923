/** Two people talk in two browsers. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished } from "vitest";
import { createChat } from "../../src/index.js";
import { anotherTab, connected, inRoom, join, leave, say, shows, texts } from "./browser.js";

const test = inRoom();

/** Starts a server of another program for this test. Returns its URL. */
async function serve(handler: RequestListener): Promise<string> {
  const host = createServer(handler).listen(0, "127.0.0.1");
  onTestFinished(() => {
    host.closeAllConnections();
    host.close();
  });
  await once(host, "listening");
  return `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
}

test("two people log in and see each other's messages without loading the page again", async ({
  browser,
  server,
}) => {
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
  await Promise.all([ann, bob].map(leave));
});

test("under a mount path, everything that the pages ask for is below it", async ({ browser }) => {
  const chat = await createChat();
  const outside: string[] = [];
  const origin = await serve((req, res) => {
    if (!req.url?.startsWith("/deep/down/")) {
      // A browser asks for this icon by itself when a page is no page of ours.
      if (req.url !== "/favicon.ico") outside.push(req.url ?? "");
      res.writeHead(404).end();
      return;
    }
    req.url = req.url.slice("/deep/down".length);
    chat.handler(req, res);
  });
  const url = `${origin}/deep/down`;
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
  await leave(page);
  await chat.close();
});

test("who comes to the log-in page while logged in gets back to the room with one click", async ({
  ann,
  server,
  me,
}) => {
  await ann.goto(`${server.url}/login`);
  await ann.getByText(`You are logged in as ${me}.`).waitFor();
  await ann.click("text=Back to the room");
  await connected(ann);
});

test("a tab that was logged out in another says so, and goes on when it is looked at after the next log-in", async ({
  ann,
  me,
}) => {
  const other = await anotherTab(ann);
  await other.click("text=Log out");
  await ann.waitForSelector("#status.stopped");
  expect(await ann.textContent("#status")).toBe("You are logged out. Log in again");
  expect(await ann.$eval("#status a", (link) => (link as HTMLAnchorElement).pathname)).toBe("/");
  await other.fill("#name", me);
  await other.keyboard.press("Enter");
  await connected(other);
  await say(other, "back again");
  // Headless tabs are all in view; this is what the browser tells one that comes to the front.
  await ann.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await shows(ann, "back again");
  await connected(ann);
});

test("behind a host's log-in the page talks under the host's name, and has no log-out", async ({
  browser,
}) => {
  const chat = await createChat({ path: "/chat", identify: (req) => req.headers["x-user"]?.toString() });
  const url = `${await serve((req, res) => chat.handler(req, res))}/chat`;
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(url);
  await stranger.getByText("Log in to this site first").waitFor();
  await leave(stranger);
  const page = await (await browser.newContext({ extraHTTPHeaders: { "X-User": "Gil" } })).newPage();
  await page.goto(url);
  await page.waitForURL("**/chat/chatroom/Gil/");
  await connected(page);
  await say(page, "as Gil");
  await shows(page, "as Gil");
  await chat.post({ user: "bot", text: "hello, Gil" });
  await shows(page, "hello, Gil");
  expect(await texts(page)).toEqual(["as Gil", "hello, Gil"]);
  expect(await page.locator("text=Log out").count()).toBe(0);
  await leave(page);
  await chat.close();
});
