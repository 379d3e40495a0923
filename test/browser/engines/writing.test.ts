/** The message box and messages on their way, in all three engines. */
import { expect } from "vitest";
import { pass } from "../proxy.js";
import {
  enter,
  holdPosts,
  inEngine,
  isVisible,
  paste,
  reads,
  reload,
  rewrite,
  say,
  sent,
  shows,
  texts,
} from "./room.js";
import type { Tab } from "./tab.js";

const test = inEngine();

const box = (tab: Tab) => tab.evaluate(() => document.querySelector<HTMLTextAreaElement>("#message")?.value);
const focus = (tab: Tab) => tab.evaluate(() => document.activeElement?.id);

test("Enter sends, Shift+Enter inserts a line, and control characters are removed", async ({ room }) => {
  await room.type("#message", "one");
  await room.press("#message", "Shift+Enter");
  await room.type("#message", "two");
  await room.press("#message", "Enter");
  await shows(room, "one\ntwo");
  expect(await box(room)).toBe("");
  await say(room, "\u001B[31mred\u001B[0m\tand\r\nline");
  await shows(room, "[31mred[0m\tand\nline");
});

test("on a phone, Enter inserts a line, every control has 44 px, and long names fit", async ({
  tab,
  proxy,
  me,
  ben,
}) => {
  // The engines have no coarse pointer here, so the script and the style are told so.
  proxy.handle = (exchange) =>
    /page\.js|chat\.css/.test(exchange.req.url ?? "")
      ? rewrite(exchange, (text) => text.replace("(pointer: coarse)", "all"))
      : pass(exchange);
  await ben.batch("since=now&wait=0");
  await tab.resize(320, 600);
  await enter(tab, proxy.url, me.padEnd(32, "W"));
  await tab.type("#message", "one");
  await tab.press("#message", "Enter");
  await tab.type("#message", "two");
  expect(await box(tab)).toBe("one\ntwo");
  await tab.click("#composer button");
  await shows(tab, "one\ntwo");
  expect(await focus(tab)).toBe("message");
  const link = "https://example.com/a/very/long/address/without/any/space/in/it/at/all?and=more&and=more";
  await ben.post(link);
  await shows(tab, link);
  await tab.click("summary");
  await tab.until(() => document.querySelectorAll("#people li").length > 1);
  const wrong = await tab.evaluate(() => {
    const controls = [...document.querySelectorAll("a:not(.skip, p[dir] a), button, textarea, summary")];
    const small = controls.filter((control) => {
      const { width, height } = control.getBoundingClientRect();
      return control.getClientRects().length > 0 && (width < 44 || height < 44);
    });
    const parts = [...document.querySelectorAll("header > *, #people section, #people bdi, #messages p")];
    const wide = parts.filter((part) => {
      const { left, right } = part.getBoundingClientRect();
      return left < 0 || right > innerWidth;
    });
    return [...small, ...wide].map(({ outerHTML }) => outerHTML);
  });
  expect(wrong).toEqual([]);
  expect(await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
  await tab.resize(1280, 720);
});

test("a draft survives a reload, and is forgotten once it was sent", async ({ room }) => {
  await room.type("#message", "half a thou");
  await reload(room);
  expect(await box(room)).toBe("half a thou");
  await room.press("#message", "Enter");
  await shows(room, "half a thou");
  await reload(room);
  expect(await box(room)).toBe("");
});

test("a long paste is kept whole, counted from 1,800 characters on, and refused with its true length", async ({
  room,
}) => {
  const complaint = () =>
    room.evaluate(() => document.querySelector<HTMLTextAreaElement>("#message")?.validationMessage);
  await paste(room, "x".repeat(1799));
  expect(await isVisible(room, "#count")).toBe(false);
  await paste(room, "😀".repeat(1800));
  expect(await texts(room, "#count.quiet")).toEqual(["1,800 / 2,000"]);
  expect(await isVisible(room, "#count")).toBe(true);
  const text = `${"y".repeat(9998)}😀z`;
  await say(room, text);
  expect(await texts(room, "#count.wrong")).toEqual(["10,000 / 2,000"]);
  expect(await complaint()).toBe("A message has at most 2,000 characters; this one has 10,000.");
  expect(await box(room)).toBe(text);
  await paste(room, "short");
  expect(await isVisible(room, "#count")).toBe(false);
  expect(await complaint()).toBe("");
  await room.press("#message", "Enter");
  await shows(room, "short");
  await room.press("#message", "Enter");
  expect(await complaint()).toBe("");
});

/** Whether the browser would ask before it closes the page. */
const asks = (tab: Tab) =>
  tab.evaluate(() => {
    const event = document.createEvent("BeforeUnloadEvent");
    event.initEvent("beforeunload", false, true);
    return !dispatchEvent(event);
  });

test("pending messages do not move when they are late, nor when they are kept, and the page asks before it closes", async ({
  room,
  proxy,
  ben,
}) => {
  for (let n = 0; n < 30; n++) await ben.post(`line ${n}`);
  await shows(room, "line 29");
  /** Returns the place of each text on the screen, its size, and whether a name and time are above it. */
  const look = () =>
    room.evaluate(() =>
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
  const early = await look();
  const last = early.slice(-3).map(({ text, isHead }) => [text, isHead]);
  expect(last).toEqual([
    ["first", true],
    ["second", false],
    ["third", false],
  ]);
  expect(await texts(room, "#sending")).toEqual([""]);
  await reads(room, "#sending", "Sending…");
  expect(await look()).toEqual(early);
  expect(await asks(room)).toBe(true);
  release();
  await shows(room, "third");
  await sent(room);
  expect(await texts(room, "#sending")).toEqual([""]);
  expect(await look()).toEqual(early);
  expect(await asks(room)).toBe(false);
});

test("a refused message says why, cannot be sent again, and is not resent by a reload", async ({
  room,
  proxy,
}) => {
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
  expect(await texts(room, "#outbox button")).toEqual(["Delete"]);
  expect(posts).toBe(1);
  await room.click("#outbox button");
  expect(await focus(room)).toBe("message");
  expect(await asks(room)).toBe(false);
  await reload(room);
  expect(await texts(room, "#outbox > li")).toEqual([]);
});

test("a message without a session can be sent again after the next log-in", async ({ room, proxy, me }) => {
  await room.evaluate(() => fetch("../../logout", { method: "POST" }).then(() => undefined));
  await say(room, "too late");
  await reads(room, "#outbox [role=alert]", "You are not logged in.");
  expect(await isVisible(room, "#outbox .again")).toBe(false);
  await enter(room, proxy.url, me);
  expect(await texts(room, "#outbox [role=alert]")).toEqual(["Not sent."]);
  await room.click("#outbox .again");
  await shows(room, "too late");
  await sent(room);
});

test("the log-in explains that cookies are blocked, and works once they are allowed", async ({
  tab,
  proxy,
  me,
}) => {
  // The browser is as one that blocks cookies: it gets none, and sends none.
  proxy.handle = async ({ req, res, ask }) => {
    delete req.headers.cookie;
    const reply = await ask();
    const { "set-cookie": _, ...headers } = reply.headers;
    res.writeHead(reply.statusCode ?? 502, headers);
    reply.pipe(res);
  };
  await tab.go(`${proxy.url}/login`);
  await tab.type("#name", me);
  await tab.press("#name", "Enter");
  await reads(
    tab,
    "#reason",
    "Your browser blocks cookies. Allow them for this site, then open this page again.",
  );
  expect(await tab.evaluate(() => document.querySelector<HTMLInputElement>("#name")?.value)).toBe(me);
  proxy.handle = pass;
  await enter(tab, proxy.url, me);
});
