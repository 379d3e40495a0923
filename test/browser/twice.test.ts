/** Forms that are submitted twice: by a double click, two Enters, or a stop and another click. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "../wire/chat.js";
import { login, Person, texts } from "../wire/person.js";
import { connected, enter, openBrowser, shows } from "./browser.js";

let browser: Browser;
let chat: Running;
let proxy: Server;
let url: string;
let context: BrowserContext;
let page: Page;
/** The replies to forms that the proxy holds back, and how many more it will. */
let held: (() => void)[];
let holding: number;

beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser.close());

beforeEach(async () => {
  chat = await startChat();
  held = [];
  holding = 0;
  proxy = createServer(forward).listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
  url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterEach(async () => {
  await context.close();
  proxy.close();
  proxy.closeAllConnections();
  await chat.close();
  expect(chat.log).toEqual([]);
});

/** Forwards a request and its reply, and holds the reply of a form if it should. */
function forward(req: IncomingMessage, res: ServerResponse): void {
  const { method, url: target = "", headers } = req;
  const isForm = method === "POST" && /^\/(login|put_post)/.test(target);
  const isHeld = isForm && holding-- > 0;
  const inner = request(`${chat.url}${target}`, { method, headers }, (answer) => {
    const send = () => {
      res.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(res);
    };
    if (isHeld) held.push(send);
    else send();
  });
  // The browser closes a connection whose reply it no longer needs.
  inner.on("error", () => res.destroy());
  res.on("close", () => inner.destroy());
  req.pipe(inner);
}

/** Opens a page with its own cookies. */
async function open(scripts: boolean): Promise<void> {
  context = await browser.newContext({ javaScriptEnabled: scripts });
  page = await context.newPage();
}

/** Returns a function that clicks without waiting for the page to load. */
async function clickAt(selector: string): Promise<() => Promise<void>> {
  const { x, y, width, height } = (await page.locator(selector).boundingBox()) ?? {
    x: 0,
    y: 0,
    width: 0,
    height: 0,
  };
  return () => page.mouse.click(x + width / 2, y + height / 2);
}

const here = () => chat.chat.present.join();

describe.each([
  ["with scripts", true],
  ["without scripts", false],
])("the log-in form, %s,", (_, scripts) => {
  beforeEach(async () => {
    await open(scripts);
    await page.goto(`${url}/login`);
    await page.fill("#name", "Ann");
  });

  /** Ann is in, by one log-in, and stays. */
  async function isIn(): Promise<void> {
    // `waitForURL` would reject because the second submission aborts the first navigation.
    await until(() => page.url() === `${url}/chatroom/Ann/`);
    await page.waitForSelector("#composer");
    expect(here()).toBe("Ann");
    expect((await login(chat.url, "ann")).status).toBe(409);
    await page.reload();
    await page.waitForSelector("#composer");
    expect(page.url()).toBe(`${url}/chatroom/Ann/`);
  }

  test("logs in once for a double click", async () => {
    await page.dblclick("button");
    await isIn();
  });

  test("logs in once for two Enters", async () => {
    await page.focus("#name");
    await Promise.all([page.keyboard.press("Enter"), page.keyboard.press("Enter")]);
    await isIn();
  });

  test.each(["click", "Enter"])("logs in when a second %s discards the first reply", async (how) => {
    await page.focus("#name");
    const submit = how === "click" ? await clickAt("button") : () => page.keyboard.press("Enter");
    holding = 1;
    await submit();
    await until(() => held.length === 1);
    await submit();
    await isIn();
  });

  test("logs in when the page was stopped and the form is submitted again", async () => {
    const submit = await clickAt("button");
    holding = 1;
    await submit();
    await until(() => held.length === 1);
    const client = await context.newCDPSession(page);
    await client.send("Page.stopLoading");
    expect(page.url()).toBe(`${url}/login`);
    await page.click("button");
    await isIn();
  });

  test("logs in when a refused name is corrected and submitted twice", async () => {
    await page.fill("#name", "a/b");
    await page.click("button");
    await page.getByText("Use 1–32 characters").waitFor();
    await page.fill("#name", "Ann");
    await page.dblclick("button");
    await isIn();
  });

  test("refuses a name that somebody else has", async () => {
    await Person.login(chat.url, "Ann");
    await page.dblclick("button");
    await page.getByText("That name is taken").waitFor();
    expect(page.url()).toBe(`${url}/login?page`);
  });
});

describe("the message form, without scripts,", () => {
  let ben: Person;
  beforeEach(async () => {
    await open(false);
    ben = await Person.login(chat.url, "Ben");
    await enter(page, url, "Ann");
    await page.fill("#message", "once");
  });
  afterEach(() => ben.close());
  const said = async () => texts(await ben.batch("since=0&wait=0"));

  test("posts once for a double click", async () => {
    await page.dblclick("#composer button");
    await shows(page, "once");
    await page.reload();
    expect(await said()).toEqual(["once"]);
  });

  test("posts once when its first reply is lost, and later texts once each", async () => {
    const send = await clickAt("#composer button");
    holding = 1;
    await send();
    await until(() => held.length === 1);
    await send();
    await shows(page, "once");
    expect(await said()).toEqual(["once"]);
    for (const text of ["once", "twice"]) {
      await page.fill("#message", text);
      await page.click("#composer button");
      await page.waitForFunction(
        (count) => document.querySelectorAll("#messages > li.own").length === count,
        text === "once" ? 2 : 3,
      );
    }
    expect(await said()).toEqual(["once", "once", "twice"]);
  });

  test("posts another text after a step back in the history", async () => {
    await page.click("#composer button");
    await shows(page, "once");
    await page.goBack();
    await page.fill("#message", "another");
    await page.click("#composer button");
    await shows(page, "another");
    expect(await said()).toEqual(["once", "another"]);
  });
});

test("with scripts, two clicks on Send are one message", async () => {
  await open(true);
  await enter(page, url, "Ann");
  await connected(page);
  await page.fill("#message", "once");
  await page.dblclick("#composer button");
  await shows(page, "once");
  const ben = await Person.login(chat.url, "Ben");
  expect(texts(await ben.batch("since=0&wait=0"))).toEqual(["once"]);
  ben.close();
});
