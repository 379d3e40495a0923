/** The message box and messages on their way, in all three engines. */
import { expect } from "vitest";
import { evaluate, goLive, paste, reads, reload, say, sent, shows, type Tab, texts } from "../browser.js";
import { pass } from "../proxy.js";
import { holdPosts, inEngine, openTab, rewrite } from "./room.js";

const test = inEngine();

const box = (tab: Tab) => evaluate(tab, () => document.querySelector<HTMLTextAreaElement>("#message")?.value);
const focus = (tab: Tab) => evaluate(tab, () => document.activeElement?.id);

test("Enter sends, Shift+Enter inserts a line, control characters are removed, and a draft survives a reload", async ({
  join,
}) => {
  const room = await join();
  await room.type("#message", "one");
  await room.press("#message", "Shift+Enter");
  await room.type("#message", "two");
  await room.press("#message", "Enter");
  await shows(room, "one\ntwo");
  expect(await box(room)).toBe("");
  await say(room, "\u001B[31mred\u001B[0m\tand\r\nline");
  await shows(room, "[31mred[0m\tand\nline");
  await room.type("#message", "half a thou");
  // A corrupt memory of messages does not stop the script.
  await evaluate(room, () => sessionStorage.setItem(`outbox ${location.pathname}`, "{broken&1=&2=x"));
  await reload(room);
  expect(await box(room)).toBe("half a thou");
  await room.press("#message", "Enter");
  await shows(room, "half a thou");
  await reload(room);
  expect(await box(room)).toBe("");
});

test("on a phone, Enter inserts a line, and the longest names, links and words fit", async ({
  proxy,
  me,
  ben,
}) => {
  const tab = await openTab();
  // The engines have no coarse pointer here, so the script and the style are told so.
  proxy.handle = (exchange) =>
    /page\.js|chat\.css/.test(exchange.req.url ?? "")
      ? rewrite(exchange, (text) => text.replace("(pointer: coarse)", "all"))
      : pass(exchange);
  await ben.batch("since=now&wait=0");
  await tab.setViewportSize({ width: 320, height: 600 });
  await goLive(tab, proxy.url, me.padEnd(32, "W"));
  await tab.type("#message", "one");
  await tab.press("#message", "Enter");
  await tab.type("#message", "two");
  expect(await box(tab)).toBe("one\ntwo");
  await tab.click("#composer button");
  await shows(tab, "one\ntwo");
  expect(await focus(tab)).toBe("message");
  const link = "https://example.com/a/very/long/address/without/any/space/in/it/at/all?and=more&and=more";
  for (const text of [link, "w".repeat(2000)]) {
    await ben.post(text);
    await shows(tab, text);
  }
  await tab.click("summary");
  await expect.poll(() => tab.isVisible("#people li + li")).toBe(true);
  const wide = await evaluate(tab, () => {
    const parts = [...document.querySelectorAll("header > *, #people section, #people bdi, #messages p")];
    const outside = parts.filter((part) => {
      const { left, right } = part.getBoundingClientRect();
      return left < 0 || right > innerWidth;
    });
    const all = [...document.querySelectorAll("html, #scroller, p[dir]")];
    const scrolls = all.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth);
    return [...outside, ...scrolls].map(({ outerHTML }) => outerHTML);
  });
  expect(wide).toEqual([]);
});

test("a long paste is kept whole, counted from 1,800 characters on, and refused with its true length", async ({
  join,
}) => {
  const room = await join();
  const complaint = () =>
    evaluate(room, () => document.querySelector<HTMLTextAreaElement>("#message")?.validationMessage);
  await paste(room, "x".repeat(1799));
  expect(await room.isVisible("#count")).toBe(false);
  await paste(room, "😀".repeat(1800));
  expect(await texts(room, "#count.quiet")).toEqual(["1800 / 2000"]);
  expect(await room.isVisible("#count")).toBe(true);
  const text = `${"y".repeat(9998)}😀z`;
  await say(room, text);
  expect(await texts(room, "#count.wrong")).toEqual(["10000 / 2000"]);
  expect(await complaint()).toBe("A message has at most 2,000 characters; this one has 10000.");
  expect(await box(room)).toBe(text);
  await paste(room, "short");
  expect(await room.isVisible("#count")).toBe(false);
  expect(await complaint()).toBe("");
  await room.press("#message", "Enter");
  await shows(room, "short");
  await sent(room);
  await room.press("#message", "Enter");
  expect(await complaint()).toBe("");
  expect(await texts(room, "#outbox > li")).toEqual([]);
});

/** Whether the browser would ask before it closes the page. */
const asks = (tab: Tab) =>
  evaluate(tab, () => {
    const event = document.createEvent("BeforeUnloadEvent");
    event.initEvent("beforeunload", false, true);
    return !dispatchEvent(event);
  });

test("pending messages are grouped and do not move when they are late or kept, and the page asks before it closes", async ({
  join,
  proxy,
  ben,
}) => {
  const room = await join();
  for (let n = 0; n < 30; n++) await ben.post(`line ${n}`);
  await say(room, "kept");
  await shows(room, "kept");
  await sent(room);
  /** Returns the place of each text on the screen, its size, and whether a name and time are above it. */
  const look = () =>
    evaluate(room, () =>
      [...document.querySelectorAll("#scroller li:not([hidden]) > p[dir]")].slice(-30).map((p) => {
        const { x, y, width, height } = p.getBoundingClientRect();
        const isHead = (p.parentElement?.querySelector("time")?.getBoundingClientRect().height ?? 0) > 1;
        const [left, top] = [Math.round(x), Math.round(y)];
        return { text: p.textContent, left, top, width, height, isHead };
      }),
    );
  expect(await asks(room)).toBe(false);
  const release = holdPosts(proxy);
  for (const text of ["first", "second", "third"]) await say(room, text);
  const heads = async () => (await look()).slice(-4).map(({ text, isHead }) => [text, isHead]);
  const together = ["second", "third"].map((text) => [text, false]);
  await expect.poll(heads).toEqual([["kept", true], ["first", false], ...together]);
  await ben.post("in between");
  await shows(room, "in between");
  expect(await heads()).toEqual([["in between", true], ["first", true], ...together]);
  const early = await look();
  const delay = () => getComputedStyle(document.querySelector("#sending") ?? document.body).animationDelay;
  expect(await evaluate(room, delay)).toBe("1s");
  await expect.poll(() => room.isVisible("#sending")).toBe(true);
  expect(await texts(room, "#sending")).toEqual(["Sending…"]);
  expect(await look()).toEqual(early);
  expect(await asks(room)).toBe(true);
  release();
  await shows(room, "third");
  await sent(room);
  expect(await room.isVisible("#sending")).toBe(false);
  expect(await look()).toEqual(early);
  expect(await asks(room)).toBe(false);
});

test("a refused message says why and is not resent; one without a session can be sent again after the next log-in", async ({
  join,
  proxy,
  me,
}) => {
  const room = await join();
  let posts = 0;
  proxy.handle = (exchange) => {
    if (!exchange.req.url?.startsWith("/put_post/")) return pass(exchange);
    posts++;
    const body = JSON.stringify({ error: { code: "too_large", message: "no" } });
    exchange.res.writeHead(413, { "Content-Type": "application/json" }).end(body);
  };
  await say(room, "refused");
  await reads(room, "#outbox [role=alert]", "That is too long to send.");
  expect(await asks(room)).toBe(true);
  await reload(room);
  expect(await texts(room, "#outbox [role=alert]")).toEqual(["That is too long to send."]);
  expect(await texts(room, "#outbox button:not([hidden])")).toEqual(["Delete"]);
  expect(posts).toBe(1);
  await room.click("#outbox button:not([hidden])");
  expect(await focus(room)).toBe("message");
  expect(await asks(room)).toBe(false);
  await reload(room);
  expect(await texts(room, "#outbox > li")).toEqual([]);
  proxy.handle = pass;
  await evaluate(room, () => fetch("../../logout", { method: "POST" }).then(() => undefined));
  await say(room, "too late");
  await reads(room, "#outbox [role=alert]", "You are not logged in.");
  expect(await room.isVisible("#outbox .again")).toBe(false);
  await goLive(room, proxy.url, me);
  expect(await texts(room, "#outbox [role=alert]")).toEqual(["Not sent."]);
  await room.click("#outbox .again");
  await shows(room, "too late");
  await sent(room);
});

test("the log-in explains that cookies are blocked, and works once they are allowed", async ({
  proxy,
  me,
}) => {
  const tab = await openTab();
  // The browser is as one that blocks cookies: it gets none, and sends none.
  proxy.handle = async ({ req, res, ask }) => {
    delete req.headers.cookie;
    const reply = await ask();
    const { "set-cookie": _, ...headers } = reply.headers;
    res.writeHead(reply.statusCode ?? 502, headers);
    reply.pipe(res);
  };
  await tab.goto(`${proxy.url}/login`);
  await tab.type("#name", me);
  await tab.press("#name", "Enter");
  await reads(tab, "#reason", "Your browser blocks cookies. Allow them, then try again.");
  expect(await evaluate(tab, () => document.querySelector<HTMLInputElement>("#name")?.value)).toBe(me);
  proxy.handle = pass;
  await goLive(tab, proxy.url, me);
});
