/** Names and messages that want to be more than text, and the policy that would stop them even then. */
import { expect } from "vitest";
import { Person } from "../wire/person.js";
import { connected, enter, inRoom, say, shows, texts, watchPolicy } from "./browser.js";

/** `harm`: every dialog, error and breach of the policy on the page. */
const test = inRoom().extend("harm", async ({ page }) => {
  const harm = await watchPolicy(page.context());
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
  "{{messages}}$1`'\"",
  "constructor",
];

const MESSAGES = [
  "<script>alert(1)</script>",
  `<img src=x onerror="alert(1)"><svg onload=alert(1)>`,
  "</p></li></ol></script><style>*{display:none}</style>",
  "javascript:alert(1) JAVASCRIPT:alert(1) data:text/html,<script>alert(1)</script>",
  `https://example.com/"onmouseover="alert(1) https://example.com/'><script>`,
  "<a href=javascript:alert(1)>click</a>",
  "\u202Eevil\u202C \u2066isolated \u2067both\u2069 and never closed \u202E\u2067",
  "zero\u200Bwidth\u200D\u2060\uFEFF and \u00AD",
  "{{name}} $1 %s &lt;b&gt; &#60;",
  "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
  "\u2028line\u2029paragraph",
  "__proto__",
];

/** Each with the text that is shown of it. */
const CODE: [text: string, shown: string][] = [
  [
    "`<img src=x onerror=alert(1)>` and `</code><script>alert(1)</script>`",
    "<img src=x onerror=alert(1)> and </code><script>alert(1)</script>",
  ],
  ["```html\n<script>alert(1)</script>\n  <b  a=\"'>\n```", "<script>alert(1)</script>\n  <b  a=\"'>"],
  ["```<br>\n</code></p></li>```", "<br>\n</code></p></li>"],
  ["`javascript:alert(1)` `https://example.com/`", "javascript:alert(1) https://example.com/"],
  ["`\u202E` ```\u2067", "\u202E ```\u2067"],
];

test("hostile names and messages are shown as they are and do no harm, live and in the page", async ({
  page,
  harm,
  server,
}) => {
  await enter(page, server.url, "Ann");
  await connected(page);
  for (const name of NAMES) {
    const person = await Person.login(server.url, name);
    await person.batch("since=now&wait=0");
    await person.post(`I am ${name}`);
    await shows(page, `I am ${name}`);
    person.close();
  }
  for (const text of MESSAGES) {
    await say(page, text);
    await shows(page, text);
  }
  for (const [text, shown] of CODE) {
    await say(page, text);
    await shows(page, shown);
  }
  await page.click("summary");
  await page.waitForFunction(
    (count) => document.querySelectorAll("#people li").length === count,
    NAMES.length + 1,
  );
  const look = async () => {
    const names = await page.$$eval("#messages > li:not(.notice) > .user", (all) =>
      all.map((n) => n.textContent),
    );
    const links = await page.$$eval("#scroller a", (all) => all.map((a) => (a as HTMLAnchorElement).href));
    const elements = await page.$$eval("#scroller *", (all) => [...new Set(all.map((e) => e.nodeName))]);
    return {
      names: names.slice(0, NAMES.length),
      links,
      elements: elements.sort(),
      texts: await texts(page),
    };
  };
  const live = await look();
  await page.reload();
  await connected(page);
  const loaded = await look();
  for (const { names, links, elements, texts } of [live, loaded]) {
    expect(names).toEqual(NAMES);
    expect(texts).toEqual([
      ...NAMES.map((name) => `I am ${name}`),
      ...MESSAGES,
      ...CODE.map(([, shown]) => shown),
    ]);
    expect(links).toEqual(["https://example.com/", "https://example.com/"]);
    expect(elements).toEqual(["A", "BDI", "CODE", "DIV", "LI", "OL", "P", "TIME"]);
  }
  expect(harm).toEqual([]);
});

test("people with hostile names log in, talk and log out", async ({ page, harm, server }) => {
  for (const name of NAMES.map((name) => `${name}~`)) {
    await enter(page, server.url, name);
    await connected(page);
    await say(page, `it is ${name}`);
    await shows(page, `it is ${name}`);
    expect(await page.locator("#messages > li.own > .user").last().textContent()).toBe(name);
    await page.click("text=Log out");
    await page.waitForURL("**/login");
  }
  expect(harm).toEqual([]);
});

test("a name that is no good comes back into the form as it was typed", async ({ page, harm, server }) => {
  await page.goto(`${server.url}/login`);
  const typed = `"><script>alert(1)</script>`;
  await page.fill("#name", typed);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#reason:not(:empty)");
  expect(await page.inputValue("#name")).toBe(typed);
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("name");
  expect(harm.filter((what) => !what.includes("422"))).toEqual([]);
});

test("a script, a style or a frame that got into the page would be stopped, and we would hear of it", async ({
  page,
  harm,
  server,
}) => {
  await enter(page, server.url, "Eve");
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "document.title = 'broken in'";
    const image = document.createElement("img");
    image.src = "https://example.com/track.png";
    const holder = document.createElement("div");
    holder.innerHTML = "<p style='color:red' onclick='alert(1)'>x</p>";
    document.body.append(script, image, holder);
    holder.querySelector("p")?.click();
  });
  await expect
    .poll(() => harm.filter((what) => /^(script|style|img)-src/.test(what)).length)
    .toBeGreaterThan(3);
  expect(await page.title()).toBe("holdline");
});
