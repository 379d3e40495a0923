/** Logging in with a browser that blocks cookies. */
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Running, startChat } from "../wire/chat.js";
import { connected, enter, openBrowser } from "./browser.js";

let chat: Running;
let browser: Browser;
/** A proxy that removes cookies. The browser is then as one that blocks them, on any engine. */
let proxy: Server;
let isBlocked = true;

beforeAll(async () => {
  [chat, browser] = await Promise.all([startChat(), openBrowser()]);
  proxy = createServer((req, res) => {
    const { method, url, headers } = req;
    const inner = request(`${chat.url}${url}`, { method, headers }, (reply) => {
      const { "set-cookie": cookies = [], ...others } = reply.headers;
      res.writeHead(reply.statusCode ?? 502, isBlocked ? others : { ...others, "set-cookie": cookies });
      reply.pipe(res);
    });
    inner.on("error", () => res.destroy());
    res.on("close", () => inner.destroy());
    req.pipe(inner);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
});
afterAll(async () => {
  await browser.close();
  proxy.close();
  proxy.closeAllConnections();
  await chat.close();
});

test("the log-in explains that cookies are blocked, and works once they are allowed", async () => {
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${url}/login`);
  await page.fill("#name", "Ann");
  await page.press("#name", "Enter");
  await page.waitForSelector("#reason:not(:empty)");
  expect(await page.textContent("#reason")).toBe(
    "Your browser blocks cookies. Allow them for this site, then open this page again.",
  );
  expect(await page.inputValue("#name")).toBe("Ann");
  expect(chat.chat.present).toEqual([]);
  isBlocked = false;
  await enter(page, url, "Ann");
  await connected(page);
  await page.context().close();
});
