/** A page written years ago, with jQuery 3 and the plain routes: no cursor, one JSON string for an answer. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect } from "vitest";
import { enter, inRoom } from "./browser.js";

const test = inRoom();

const PAGE = `<!doctype html>
<ul id="log"></ul>
<form id="form"><input id="text"><button>Send</button></form>
<script src="/jquery.js"></script>
<script>
function show(text) {
  if (text) $("<li>").text(text).appendTo("#log");
}
function poll() {
  $.ajax({ url: "/get_post/old", type: "GET", dataType: "json", timeout: 20000 }).then(
    function (text) { show(text); poll(); },
    function () { show("failed"); });
}
$("#form").on("submit", function (event) {
  event.preventDefault();
  $.ajax({ url: "/put_post/old", type: "POST", data: { message: $("#text").val() } });
});
poll();
</script>`;

test("a page with jQuery runs unchanged, and gets each message once", async ({
  page,
  server: { url },
  ben,
}) => {
  const jquery = await readFile(createRequire(import.meta.url).resolve("jquery/dist/jquery.js"), "utf8");
  await page.route(`${url}/jquery.js`, (route) => route.fulfill({ body: jquery }));
  await page.route(`${url}/old`, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  await enter(page, url, "old");
  await page.goto(`${url}/old`);
  const log = page.locator("#log > li");
  await ben.post("during a poll");
  await log.nth(0).waitFor();
  const burst = Array.from({ length: 20 }, (_, n) => `burst ${n}`);
  for (const text of burst) await ben.post(text);
  await log.nth(20).waitFor();
  await page.fill("#text", "me, & <you> 你好");
  await page.click("button");
  await log.nth(21).waitFor();
  expect(await log.allTextContents()).toEqual(["during a poll", ...burst, "me, & <you> 你好"]);
});
