/** The conversation in all three engines: talk, how messages look, the line "New messages", and earlier messages. */
import { expect } from "vitest";
import { Person } from "../../wire/person.js";
import { evaluate, reads, reload, say, sent, shows, type Tab, texts, until } from "../browser.js";
import { holdPosts, inEngine } from "./room.js";

const test = inEngine();

/** Returns a function that posts a message of Ben and waits for it. */
const arriver = (room: Tab, ben: Person) => async (text: string) => {
  await ben.post(text);
  await shows(room, text);
};

/** Hides the tab, or shows it. A tab of a test is always visible, so the page is told so. */
async function setHidden(tab: Tab, value: boolean): Promise<void> {
  const define = (value: boolean) =>
    Reflect.defineProperty(document, "hidden", { configurable: true, value });
  await evaluate(tab, define, value);
  await evaluate(tab, () => document.dispatchEvent(new Event("visibilitychange")));
}

/** Returns the message below each line "New messages". */
const divided = (tab: Tab) => texts(tab, "#scroller li.new + li > p");

test("a person enters the room and talks, sees each message once, and finds the own name", async ({
  join,
  ben,
  me,
}) => {
  const room = await join();
  // The script starts although this is no language.
  expect(await evaluate(room, () => navigator.language)).toBe("C");
  // An error after the start of the script, as of an extension, changes nothing.
  await evaluate(room, () => setTimeout(() => Reflect.get(window, "missing").x));
  await ben.post(`hello, ${me}`);
  await shows(room, `hello, ${me}`);
  await room.type("#message", `hello, Ben, from ${me}`);
  await room.press("#message", "Enter");
  await shows(room, `hello, Ben, from ${me}`);
  await ben.post("and 你好");
  await shows(room, "and 你好");
  expect(await texts(room)).toEqual([`hello, ${me}`, `hello, Ben, from ${me}`, "and 你好"]);
  await sent(room);
  expect(await texts(room, "#status")).toEqual(["Connected"]);
  const time = await evaluate(room, () => {
    const { textContent, title } = document.querySelector<HTMLElement>("#messages > li.own > time") ?? {};
    return [textContent, title];
  });
  expect(time).toEqual([
    expect.stringMatching(/^\d?\d:\d\d/),
    expect.stringMatching(/^\w+day, \w+ \d+, \d{4}\D+\d?\d:\d\d/),
  ]);
  expect((await texts(room, "header > *")).slice(-2)).toEqual([me, "Log out"]);
  await room.click("summary");
  await reads(room, "#people ul", `${me} (you)`);
  expect((await texts(room, "#people li")).filter((name) => name.endsWith("(you)"))).toEqual([`${me} (you)`]);
});

test("links, code, hostile texts and the colours of names look the same live and after a reload", async ({
  join,
  ben,
  server,
}) => {
  const room = await join();
  await ben.post(
    "»https://example.com/Moore's_law», https://example.com/a_(b)?c=1&d=2 ok?\n<b>not bold</b> & 'so' on",
  );
  await ben.post("  spaces  and\n\nan empty line");
  await ben.post("first `a  b`:\n```\n  if (a)\n    b();\n```\nthen <b>`<b>`</b>");
  await say(room, "مرحبا 你好 👩‍👩‍👧");
  await shows(room, "مرحبا 你好 👩‍👩‍👧");
  for (const name of ["Cleo", "Dana", "Edith"]) {
    const person = await Person.login(server.url, name);
    await person.post(`I am ${name}`);
    await shows(room, `I am ${name}`);
    person.close();
  }
  const look = () =>
    evaluate(room, () =>
      [...document.querySelectorAll<HTMLElement>("#messages > li:not(.notice)")].map((li) => {
        const name = li.querySelector(".user");
        return {
          id: li.dataset.id,
          classes: li.className,
          name: name?.outerHTML,
          colour: name && getComputedStyle(name).color,
          time: li.querySelector("time")?.outerHTML,
          said: li.querySelector("p")?.innerHTML,
          links: [...li.querySelectorAll("a")].map(({ href }) => href),
        };
      }),
    );
  const live = await look();
  expect(live.at(-7)?.links).toEqual([
    "https://example.com/Moore's_law",
    "https://example.com/a_(b)?c=1&d=2",
  ]);
  expect(live.at(-4)?.classes).toBe("own");
  expect(new Set(live.slice(-3).map(({ colour }) => colour)).size).toBe(3);
  await reload(room);
  expect(await look()).toEqual(live);
});

test("a message is as wide as the message box, and code in it is monospaced, keeps its spaces, and has its own lines", async ({
  join,
  ben,
}) => {
  const room = await join();
  await ben.post("first `a  b`, then\n```\nif (a)\n  iiii\n  MMMM\n```\nthe end");
  await shows(room, "first a  b, then\nif (a)\n  iiii\n  MMMM\nthe end");
  expect(await texts(room, "#messages > li:last-child code")).toEqual(["a  b", "if (a)\n  iiii\n  MMMM"]);
  const { widths, line, around } = await evaluate(room, () => {
    const p = document.querySelector("#messages > li:last-child > p") ?? document.body;
    const block = p.lastElementChild ?? p;
    block.normalize();
    const widths = [9, 16].map((start) => {
      const range = document.createRange();
      if (block.firstChild) range.setStart(block.firstChild, start);
      if (block.firstChild) range.setEnd(block.firstChild, start + 4);
      return Math.round(range.getBoundingClientRect().width);
    });
    const height = (element: Element) => element.getBoundingClientRect().height;
    const line = Number.parseFloat(getComputedStyle(p).lineHeight);
    return { widths, line, around: height(p) - height(block) };
  });
  expect(widths[0]).toBeGreaterThan(10);
  expect(widths[1]).toBe(widths[0]);
  // Text, a block of three lines, and text: nothing stands beside the block, and no empty line is around it.
  expect(around).toBeLessThan(3.5 * line);
  expect(around).toBeGreaterThan(2 * line);
  await say(room, "at the right edge");
  await shows(room, "at the right edge");
  // The scrollbar takes room: that of Firefox is 12 px wide; Playwright hides Chromium's.
  const [message = 0, button = 0] = await evaluate(room, () => {
    const scroller = document.querySelector<HTMLElement>("#scroller");
    if (scroller) scroller.style.overflowY = "scroll";
    const boxes = [...document.querySelectorAll("#messages .own > p, #composer button")];
    return boxes.map((box) => box.getBoundingClientRect().right);
  });
  expect(message).toBeCloseTo(button, 0);
});

test("a line is above the first message of others that arrived while the tab was hidden", async ({
  join,
  server,
  ben,
}) => {
  const room = await join();
  const arrive = arriver(room, ben);
  const title = () => evaluate(room, () => document.title);
  await arrive("seen");
  await setHidden(room, true);
  // No line is above what was seen, notices, and the user's own messages, here as from another tab.
  const cat = await Person.login(server.url, "Cat");
  await cat.batch("since=now&wait=0");
  cat.close();
  await evaluate(room, async () => {
    const body = new URLSearchParams({ message: "from another tab" });
    await fetch(`../../put_post/${location.pathname.split("/").at(-2)}`, { method: "POST", body });
  });
  await shows(room, "from another tab");
  expect(await texts(room, "#messages > li.notice:nth-last-child(2) > p")).toEqual(["Cat joined"]);
  expect(await divided(room)).toEqual([]);
  await arrive("unseen");
  await arrive("unseen too");
  expect(await title()).toBe("(2) holdline");
  await setHidden(room, false);
  expect(await title()).toBe("holdline");
  expect(await divided(room)).toEqual(["unseen"]);
  expect(await texts(room, "#scroller li.new")).toEqual(["New messages"]);
  // The name is shown again below the line.
  expect(await texts(room, "li.new + li:not(.more) > p")).toEqual(["unseen"]);
  expect(await room.isVisible("button.newer")).toBe(false);
  await arrive("live");
  expect(await divided(room)).toEqual(["unseen"]);
  // The line was seen.
  await setHidden(room, true);
  expect(await divided(room)).toEqual([]);
  await arrive("a question");
  await setHidden(room, false);
  expect(await divided(room)).toEqual(["a question"]);
  await say(room, "an answer");
  expect(await divided(room)).toEqual([]);
});

/**
 * Returns what was said, in order and without notices, with its places on the screen. First scrolls to so many pixels above
 * the end, if told; then nothing more is loaded yet.
 */
const lines = (tab: Tab, distance?: number) =>
  evaluate(
    tab,
    (distance) => {
      const scroller = document.querySelector("#scroller");
      if (distance !== null) scroller?.scrollTo(0, -distance);
      const { top = 0, bottom = 0 } = scroller?.getBoundingClientRect() ?? {};
      return [...document.querySelectorAll("#scroller li:not(.notice) > p[dir]")].map((p) => {
        const { y } = p.getBoundingClientRect();
        return { text: p.textContent ?? "", y, isSeen: y > top && y < bottom };
      });
    },
    distance ?? null,
  );

/** Expects that the lines in view have not moved. */
async function expectSteady(tab: Tab, before: Awaited<ReturnType<typeof lines>>): Promise<void> {
  const after = new Map((await lines(tab)).map(({ text, y }) => [text, y]));
  const seen = before.filter(({ isSeen }) => isSeen);
  expect(seen.length).toBeGreaterThan(5);
  // WebKit scrolls by whole pixels; the heights of lines are none.
  for (const { text, y } of seen) expect(Math.abs((after.get(text) ?? 1e9) - y)).toBeLessThanOrEqual(1);
}

test("a reader further up stays there, and a line and a button mark the new messages", async ({
  join,
  ben,
  proxy,
}) => {
  const room = await join();
  const arrive = arriver(room, ben);
  const top = () => evaluate(room, () => Math.round(document.querySelector("#scroller")?.scrollTop ?? -1));
  for (let n = 0; n < 60; n++) await ben.post(`line ${n}`);
  await shows(room, "line 59");
  expect(await top()).toBe(0);
  let before = await lines(room, 900);
  await arrive("below the view");
  await expectSteady(room, before);
  before = await lines(room);
  await arrive("more\nbelow");
  await expectSteady(room, before);
  await reads(room, "button.newer", "2 new messages");
  await room.click("button.newer");
  expect(await top()).toBe(0);
  expect(await room.isVisible("button.newer")).toBe(false);
  expect(await divided(room)).toEqual(["below the view"]);
  // Everything was seen. The next message that is not seen moves the line, and nothing else.
  before = await lines(room, 380);
  await arrive("the next one");
  expect(await divided(room)).toEqual(["the next one"]);
  await expectSteady(room, before);
  // A message that was pending above the view's end is kept.
  const release = holdPosts(proxy);
  const text = "a message\nof three\nlines";
  await say(room, text);
  before = await lines(room, 600);
  release();
  await shows(room, text);
  await sent(room);
  await expectSteady(room, before);
});

test("scrolling to the top loads all earlier messages, and the view does not move", async ({ join, ben }) => {
  const room = await join();
  for (let n = 60; n < 300; n++) await ben.post(n % 5 === 0 ? `line ${n}\nand\nmore` : `line ${n}`);
  await reload(room);
  const reach = await evaluate(room, () => {
    const { scrollHeight = 0, clientHeight = 0 } = document.querySelector("#scroller") ?? {};
    return scrollHeight - clientHeight;
  });
  const before = await lines(room, reach - 300);
  expect(before.length).toBeLessThan(240);
  await until(room, (n) => document.querySelectorAll("#scroller li > p[dir]").length > n, before.length);
  await expectSteady(room, before);
  await until(room, () => {
    document.querySelector("#scroller")?.scrollTo(0, -1e6);
    return document.querySelector("#history")?.textContent?.startsWith("History begins here: ");
  });
  expect(await room.isVisible("#history button")).toBe(false);
  const all = (await lines(room)).map(({ text }) => text.replace("\nand\nmore", ""));
  expect(all.slice(-240)).toEqual(Array.from({ length: 240 }, (_, n) => `line ${n + 60}`));
  // It goes on at the end, live, and knows each message once.
  await say(room, "the end");
  await shows(room, "the end");
  expect(await evaluate(room, () => Math.round(document.querySelector("#scroller")?.scrollTop ?? -1))).toBe(
    0,
  );
});
