/** A page written years ago, with jQuery 3 and the plain routes: no cursor, one JSON string for an answer. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { enter, openBrowser } from "./browser.js";

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer("--post-rate", "0"), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const PAGE = `<!doctype html>
<title>Chat</title>
<ul id="log"></ul>
<form id="form"><input id="text"><button>Send</button></form>
<script src="/jquery.js"></script>
<script>
$(function () {
  var user = "old";
  // A test may hold this page between two polls.
  window.polls = 0;
  window.hold = $.Deferred().resolve();
  function poll() {
    window.polls++;
    $.ajax({
      url: "/get_post/" + user,
      type: "GET",
      dataType: "json",
      timeout: 20000,
      success: function (text) {
        if (text) $("<li>").text(text).appendTo("#log");
        window.hold.then(poll);
      },
      error: function () {
        $("<li>").text("failed").appendTo("#log");
      }
    });
  }
  $("#form").on("submit", function (event) {
    event.preventDefault();
    $.ajax({ url: "/put_post/" + user, type: "POST", data: { message: $("#text").val() } });
    $("#text").val("");
  });
  poll();
});
</script>`;

async function oldPage(): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  const jquery = await readFile(createRequire(import.meta.url).resolve("jquery/dist/jquery.js"), "utf8");
  await page.route(`${server.url}/jquery.js`, (route) =>
    route.fulfill({ contentType: "text/javascript", body: jquery }),
  );
  await page.route(`${server.url}/old`, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  await enter(page, server.url, "old");
  await page.goto(`${server.url}/old`);
  return page;
}

const log = (page: Page) => page.$$eval("#log > li", (items) => items.map((li) => li.textContent));
const has = (page: Page, count: number) =>
  page.waitForFunction((count) => document.querySelectorAll("#log > li").length >= count, count);

test("runs unchanged, and gets each message once: during a poll, in a burst, and between two polls", async () => {
  const page = await oldPage();
  const ben = await Person.login(server.url, "Ben");
  await ben.post("during a poll");
  await has(page, 1);
  const burst = Array.from({ length: 20 }, (_, n) => `burst ${n}`);
  for (const text of burst) await ben.post(text);
  await has(page, 21);
  await page.fill("#text", "me, & <you> 你好");
  await page.click("button");
  await has(page, 22);
  await page.evaluate(() => {
    const $ = Reflect.get(globalThis, "$");
    Reflect.set(globalThis, "hold", $.Deferred());
  });
  await ben.post("the last before the pause");
  await has(page, 23);
  await ben.post("between two polls");
  await ben.post("and another");
  await page.evaluate(() => Reflect.get(globalThis, "hold").resolve());
  await has(page, 25);
  const expected = [
    "during a poll",
    ...burst,
    "me, & <you> 你好",
    "the last before the pause",
    "between two polls",
    "and another",
  ];
  expect(await log(page)).toEqual(expected);
  ben.close();
  await page.context().close();
});
