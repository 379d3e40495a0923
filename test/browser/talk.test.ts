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
