/** Forms that are submitted twice: by a double click, two Enters, or a stop and another click. */
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect } from "vitest";
import { type Running, startChat, until } from "../wire/chat.js";
import { login, Person, texts } from "../wire/person.js";
import { connected, enter, inRoom, say, sent, shows } from "./browser.js";
import { startProxy, type TestProxy } from "./proxy.js";

/** The forms need no scripts. */
const test = inRoom().extend("options", () => ({ javaScriptEnabled: false }));
const live = test.extend("options", () => ({ javaScriptEnabled: true }));

let chat: Running;
let proxy: TestProxy;
/** The replies to forms that the proxy holds back, and how many more it will. */
let held: (() => void)[];
let holding: number;

beforeEach(async () => {
  chat = await startChat();
  held = [];
  holding = 0;
  proxy = await startProxy(chat.url, async ({ req: { method, url = "" }, ask, send }) => {
    const isForm = method === "POST" && /^\/(login|put_post)/.test(url);
    const reply = await ask();
    if (isForm && holding-- > 0) held.push(() => send(reply));
    else send(reply);
  });
});
afterEach(async () => {
  proxy.close();
  await chat.close();
  expect(chat.log).toEqual([]);
});

/** Submits, and submits again before the reply has come. */
async function submitTwice(submit: () => Promise<void>): Promise<void> {
  holding = 1;
  await submit();
  await until(() => held.length === 1);
  await submit();
}

/** Returns a function that clicks without waiting for the page to load. */
async function clickAt(page: Page, selector: string): Promise<() => Promise<void>> {
  const { x = 0, y = 0, width = 0, height = 0 } = (await page.locator(selector).boundingBox()) ?? {};
  return () => page.mouse.click(x + width / 2, y + height / 2);
}

describe("the log-in form", () => {
  test.beforeEach(async ({ page }) => {
    await page.goto(`${proxy.url}/login`);
    await page.fill("#name", "Ann");
  });

  /** Ann is in, by one log-in, and stays. */
  async function isIn(page: Page): Promise<void> {
    // `waitForURL` would reject because the second submission aborts the first navigation.
    await until(() => page.url() === `${proxy.url}/chatroom/Ann/`);
    await page.waitForSelector("#composer");
    expect(chat.chat.present).toEqual(["Ann"]);
    expect((await login(chat.url, "ann")).status).toBe(409);
    await page.reload();
    await page.waitForSelector("#composer");
    expect(page.url()).toBe(`${proxy.url}/chatroom/Ann/`);
  }

  const ways: [string, (page: Page) => Promise<void>][] = [
    ["logs in once for a double click", (page) => page.dblclick("button")],
    [
      "logs in once for two Enters",
      async (page) => {
        await page.focus("#name");
        await Promise.all([page.keyboard.press("Enter"), page.keyboard.press("Enter")]);
      },
    ],
    [
      "logs in when a second click discards the first reply",
      async (page) => submitTwice(await clickAt(page, "button")),
    ],
    [
      "logs in when a second Enter discards the first reply",
      async (page) => {
        await page.focus("#name");
        await submitTwice(() => page.keyboard.press("Enter"));
      },
    ],
    [
      "logs in when the page was stopped and the form is submitted again",
      async (page) => {
        const submit = await clickAt(page, "button");
        holding = 1;
        await submit();
        await until(() => held.length === 1);
        const client = await page.context().newCDPSession(page);
        await client.send("Page.stopLoading");
        expect(page.url()).toBe(`${proxy.url}/login`);
        await page.click("button");
      },
    ],
    [
      "logs in when a refused name is corrected and submitted twice",
      async (page) => {
        await page.fill("#name", "a/b");
        await page.click("button");
        await page.getByText("Use 1–32 characters").waitFor();
        await page.fill("#name", "Ann");
        await page.dblclick("button");
      },
    ],
  ];
  test.for(ways)("%s", async ([, submit], { page }) => {
    await submit(page);
    await isIn(page);
  });

  test("refuses a name that somebody else has", async ({ page }) => {
    await Person.login(chat.url, "Ann");
    await page.dblclick("button");
    await page.getByText("That name is taken").waitFor();
    expect(page.url()).toBe(`${proxy.url}/login?page`);
  });
});

/** The texts that the chat keeps. */
async function said(): Promise<string[]> {
  const ben = await Person.login(chat.url, "Ben");
  const batch = await ben.batch("since=0&wait=0");
  await ben.ask("logout", { method: "POST" });
  ben.close();
  return texts(batch);
}

describe("the message form, without scripts,", () => {
  test.beforeEach(async ({ page }) => {
    await enter(page, proxy.url, "Ann");
    await page.fill("#message", "once");
  });

  test("posts once for a double click", async ({ page }) => {
    await page.dblclick("#composer button");
    await shows(page, "once");
    await page.reload();
    expect(await said()).toEqual(["once"]);
  });

  test("posts once when its first reply is lost, and later texts once each", async ({ page }) => {
    await submitTwice(await clickAt(page, "#composer button"));
    await shows(page, "once");
    expect(await said()).toEqual(["once"]);
    for (const [text, count] of [
      ["once", 2],
      ["twice", 3],
    ] as const) {
      await page.fill("#message", text);
      await page.click("#composer button");
      await page.waitForFunction(
        (count) => document.querySelectorAll("#messages > li.own").length === count,
        count,
      );
    }
    expect(await said()).toEqual(["once", "once", "twice"]);
  });

  test("posts another text after a step back in the history", async ({ page }) => {
    await page.click("#composer button");
    await shows(page, "once");
    await page.goBack();
    await page.fill("#message", "another");
    await page.click("#composer button");
    await shows(page, "another");
    expect(await said()).toEqual(["once", "another"]);
  });
});

describe("with scripts,", () => {
  live.beforeEach(async ({ page }) => {
    await enter(page, proxy.url, "Ann");
    await connected(page);
  });

  live("two clicks on Send are one message", async ({ page }) => {
    await page.fill("#message", "once");
    await page.dblclick("#composer button");
    await shows(page, "once");
    expect(await said()).toEqual(["once"]);
  });

  live(
    "a message whose reply was lost is shown once after a reload, also before its second reply",
    async ({ page }) => {
      holding = 2;
      await say(page, "only `once`");
      await shows(page, "only once");
      await page.reload();
      await until(() => held.length === 2);
      const seen = page.getByText("only once").filter({ visible: true });
      expect(await seen.count()).toBe(1);
      held[1]?.();
      await sent(page);
      expect(await seen.count()).toBe(1);
      expect(await said()).toEqual(["only `once`"]);
    },
  );
});
