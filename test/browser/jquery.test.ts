/** A page written years ago, with jQuery 3 and the plain routes: no cursor, one JSON string for an answer. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { enter, inRoom } from "./browser.js";

const test = inRoom();

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

/** Opens the old page. */
async function open(page: Page, url: string): Promise<void> {
  const jquery = await readFile(createRequire(import.meta.url).resolve("jquery/dist/jquery.js"), "utf8");
  for (const [path, contentType, body] of [
    ["jquery.js", "text/javascript", jquery],
    ["old", "text/html", PAGE],
  ] as const)
    await page.route(`${url}/${path}`, (route) => route.fulfill({ contentType, body }));
  await enter(page, url, "old");
  await page.goto(`${url}/old`);
}

const log = (page: Page) => page.$$eval("#log > li", (items) => items.map((li) => li.textContent));
const has = (page: Page, count: number) =>
  page.waitForFunction((count) => document.querySelectorAll("#log > li").length >= count, count);

test("runs unchanged, and gets each message once: during a poll, in a burst, and between two polls", async ({
  page,
  server,
  ben,
}) => {
  await open(page, server.url);
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
});
