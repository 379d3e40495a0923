/** Names and messages that contain HTML, scripts or invisible characters are shown as text and do no harm. */
import { expect } from "vitest";
import { Person } from "../wire/person.js";
import { connected, goLive, inRoom, say, shows, texts } from "./browser.js";

/** `harm`: every dialog, error and breach of the policy on the page. */
const test = inRoom().extend("harm", async ({ page }) => {
  const harm: string[] = [];
  await page.exposeFunction("tellViolation", (what: string) => harm.push(what));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      Reflect.get(globalThis, "tellViolation")(`${violatedDirective} ${blockedURI}`);
    });
  });
  page.on("dialog", (dialog) => {
    harm.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("pageerror", (error) => harm.push(String(error)));
  page.on("console", (line) => line.type() === "error" && harm.push(line.text()));
  return harm;
});

const NAMES = [
  `"><img src=x onerror=alert(1)>`,
  "<b>bold<!-- ' &amp; {{user}} $&",
  "?a=b#c%2e%00;+",
  "שלום ١٢٣",
  "constructor",
];

const MESSAGES = [
  "<script>alert(1)</script>",
  `<img src=x onerror="alert(1)"><svg onload=alert(1)>`,
  "</p></li></ol></script><style>*{display:none}</style>",
  "javascript:alert(1) JAVASCRIPT:alert(1) data:text/html,<script>alert(1)</script>",
  `https://example.com/"onmouseover="alert(1) https://example.com/'><script>`,
  "\u202Eevil\u202C \u2066isolated \u2067both\u2069 and never closed \u202E\u2067",
  "zero\u200Bwidth\u200D\u2060\uFEFF and \u00AD",
  "{{name}} $1 %s &lt;b&gt; &#60;",
  "__proto__",
];

/** Each with the text that is shown of it. */
const CODE: [text: string, shown: string][] = [
  [
    "`<img src=x onerror=alert(1)>` and `</code><script>alert(1)</script>`",
    "<img src=x onerror=alert(1)> and </code><script>alert(1)</script>",
  ],
  ["```html\n<script>alert(1)</script>\n  <b  a=\"'>\n```", "<script>alert(1)</script>\n  <b  a=\"'>"],
  ["`\u202E` ```\u2067", "\u202E ```\u2067"],
];

test("hostile names and messages are shown as they are and do no harm, live, in the page and in the log-in form", async ({
  page,
  harm,
  server,
}) => {
  const own = `${NAMES[0]}~`;
  await goLive(page, server.url, own);
  const people: Person[] = [];
  for (const name of NAMES) {
    const person = await Person.login(server.url, name);
    people.push(person);
    await person.batch("since=now&wait=0");
    await person.post(`I am ${name}`);
    await shows(page, `I am ${name}`);
  }
  const expected = NAMES.map((name) => `I am ${name}`);
  for (const [text, shown] of [...MESSAGES.map((text) => [text, text] as const), ...CODE]) {
    await say(page, text);
    await shows(page, shown);
    expected.push(shown);
  }
  await page.click("summary");
  await page.waitForFunction((n) => document.querySelectorAll("#people li").length > n, NAMES.length);
  const listed = await page.locator("#people li > bdi").allTextContents();
  expect(listed.sort()).toEqual([own, ...NAMES].sort());
  for (const person of people) {
    await person.ask("logout", { method: "POST" });
    await shows(page, `${person.name} left`);
    person.close();
  }
  for (const isLive of [true, false]) {
    if (!isLive) await page.reload();
    await connected(page);
    const of = (selector: string) => page.locator(`#messages > ${selector}`).allTextContents();
    expect((await of("li:not(.notice) > .user")).slice(0, NAMES.length)).toEqual(NAMES);
    expect(await texts(page)).toEqual(expected);
    const notices = NAMES.flatMap((name) => [`${name} joined`, `${name} left`]);
    expect(await of("li.notice > p")).toEqual(expect.arrayContaining(notices));
    const links = await page.$$eval("#scroller a", (all) => all.map((a) => a.getAttribute("href")));
    expect(links).toEqual(["https://example.com/", "https://example.com/"]);
    const elements = await page.$$eval("#scroller li *", (all) => [...new Set(all.map((e) => e.nodeName))]);
    expect(elements.sort()).toEqual(["A", "BDI", "CODE", "P", "TIME"]);
  }
  await page.goto(`${server.url}/login`);
  expect(await page.textContent("main p bdi")).toBe(own);
  expect(harm).toEqual([]);
  const refused = `${NAMES[0]}/`;
  await page.fill("#name", refused);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#reason:not(:empty)");
  expect(await page.inputValue("#name")).toBe(refused);
  // Chromium reports the status of the reply.
  expect(harm.filter((what) => !what.includes("422"))).toEqual([]);
});
