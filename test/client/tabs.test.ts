/** One poll for all tabs: fake locks, a fake channel and a fake server, so that any order of events can be tested. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { message, refused, reply } from "./fake-room.js";
import { fakeTime, pass } from "./fake-time.js";
import { channelsOf, type Tab, World } from "./tabs-world.js";

let world: World;
let tabs: Tab[];

fakeTime();
beforeEach(begin);
afterEach(() => {
  for (const tab of tabs) tab.poll.stop();
});

function begin(): void {
  world = new World();
  tabs = [];
  vi.stubGlobal("BroadcastChannel", channelsOf(world));
}

/** Opens a tab. */
async function open(...options: Parameters<World["open"]>): Promise<Tab> {
  const tab = world.open(...options);
  tabs.push(tab);
  await settle();
  return tab;
}
const settle = () => pass(0);
const say = (text: string) => {
  world.say(text);
  return settle();
};
const leaders = () => tabs.filter((tab) => tab.leads);

describe("with several tabs", () => {
  test("one tab polls, and every tab receives every message once and in order", async () => {
    for (let n = 0; n < 10; n++) await open();
    for (let n = 0; n < 30; n++) {
      world.say(`${n}`);
      if (n % 3 === 0) await settle();
    }
    await settle();
    expect(leaders().length).toBe(1);
    expect(world.waiting).toBe(1);
    for (const tab of tabs) expect(tab.texts).toEqual(Array.from({ length: 30 }, (_, n) => `${n}`));
  });

  test("the next tab polls from its own cursor when the first closes", async () => {
    const [first, second, third] = [await open(), await open(), await open()];
    await say("a");
    first.poll.stop();
    await say("b");
    expect(second.leads).toBe(true);
    expect(second.texts).toEqual(["a", "b"]);
    expect(third.texts).toEqual(["a", "b"]);
    expect(world.waiting).toBe(1);
  });

  test("a tab that was suspended catches up", async () => {
    const [first, second] = [await open(), await open()];
    second.poll.stop();
    await say("meanwhile");
    second.poll.start();
    await settle();
    expect(second.texts).toEqual(["meanwhile"]);
    expect(first.leads).toBe(true);
    expect(world.waiting).toBe(1);
  });

  test("a tab that has missed a message asks the server for it once", async () => {
    const [, second] = [await open(), await open()];
    const channel = [...world.channels][1];
    if (channel) channel.deaf = true;
    await say("missed");
    expect(second.texts).toEqual([]);
    if (channel) channel.deaf = false;
    world.asked.length = 0;
    await say("heard");
    expect(second.texts).toEqual(["missed", "heard"]);
    // The leader's next poll, and the one request.
    expect(world.asked.map(({ since, wait }) => `${since} ${wait}`).sort()).toEqual(["0-0 0", "2-0 25"]);
    expect(world.waiting).toBe(1);
  });

  test("a page that is older than the leader's cursor catches up", async () => {
    await open();
    await say("a");
    const old = await open({ since: "0-0" });
    expect(old.texts).toEqual(["a"]);
  });

  test("a page that is newer than the leader's cursor receives nothing twice", async () => {
    world.say("a");
    world.say("b");
    await open({ since: "0-0" });
    const fresh = await open();
    await say("c");
    expect(fresh.texts).toEqual(["c"]);
  });

  test("a gap after another cursor is not reported in this tab", async () => {
    const [, second] = [await open(), await open()];
    await say("a");
    for (const channel of world.channels) {
      const batch = { cursor: "9-0", present: 1, messages: [], gap: true };
      channel.onmessage?.({ data: { kind: "batch", from: "7-0", batch } });
    }
    await settle();
    await say("b");
    expect(second.gaps).toBe(0);
    expect(second.texts).toEqual(["a", "b"]);
  });

  test("a tab that has missed a message asks the server when the leader reports another history", async () => {
    for (const text of ["a", "b", "c"]) world.say(text);
    const [, second] = [await open(), await open()];
    const [, channel] = world.channels;
    world.refusal = () => reply("1-0", [message("1-0")], { gap: true });
    const batch = { cursor: "1-0", present: 1, messages: [], gap: true };
    channel?.onmessage?.({ data: { kind: "batch", from: "4-0", batch } });
    await settle();
    expect(second.gaps).toBe(1);
    expect(second.texts).toEqual(["text of 1-0"]);
    expect(second.poll.client).toBeUndefined();
  });

  test("every tab receives the state of the poll", async () => {
    const [first, second] = [await open(), await open()];
    expect(first.states.at(-1)).toBe("live");
    expect(second.states.at(-1)).toBe("live");
    world.refusal = () => refused(503, "draining");
    await say("a");
    expect(first.states.at(-1)).toBe("waiting");
    expect(second.states.at(-1)).toBe("waiting");
  });

  test("a final error stops all tabs", async () => {
    for (let n = 0; n < 5; n++) await open();
    world.refusal = () => refused(401, "no_session");
    await say("a");
    const asked = world.asked.length;
    await pass(60_000);
    expect(tabs.map((tab) => tab.states.at(-1))).toEqual(Array.from({ length: 5 }, () => "no_session"));
    expect(world.asked.length).toBe(asked);
  });
});

describe("a visible tab", () => {
  test("polls once after a log-out, and continues when another tab has logged in", async () => {
    const tab = await open();
    world.refusal = () => refused(401, "no_session");
    await say("a");
    const asked = world.asked.length;
    tab.poll.ping();
    await pass(60_000);
    expect(world.asked.length).toBe(asked + 1);
    expect(tab.states.at(-1)).toBe("no_session");
    world.refusal = undefined;
    world.say("b");
    tab.poll.ping();
    await settle();
    expect(tab.states.at(-1)).toBe("live");
    expect(tab.texts).toEqual(["a", "b"]);
  });

  test.each(["not_you", "bad_request"])("stays stopped after %s", async (code) => {
    const tab = await open();
    world.refusal = () => refused(403, code);
    await say("a");
    const asked = world.asked.length;
    tab.poll.ping();
    await pass(60_000);
    expect(world.asked.length).toBe(asked);
  });

  test("becomes the leader instead of a hidden one", async () => {
    const [first, second] = [await open(), await open()];
    first.visible = false;
    second.poll.ping();
    await settle();
    expect(second.leads).toBe(true);
    await say("a");
    expect(first.leads).toBe(false);
    expect(first.texts).toEqual(["a"]);
    expect(world.waiting).toBe(1);
    second.poll.stop();
    await settle();
    expect(first.leads).toBe(true);
  });

  test("becomes the leader instead of one that does not answer", async () => {
    const [first, second] = [await open(), await open()];
    const [channel] = world.channels;
    if (channel) channel.onmessage = null;
    second.poll.ping();
    await pass(1999);
    expect(second.leads).toBe(false);
    await pass(1);
    expect(second.leads).toBe(true);
    expect(first.leads).toBe(false);
  });

  test("leaves the lead to another visible tab", async () => {
    const [first, second] = [await open(), await open()];
    second.poll.ping();
    await pass(10_000);
    expect(first.leads).toBe(true);
    expect(second.leads).toBe(false);
  });

  test("stays in the queue while it is hidden", async () => {
    const [first, second] = [await open(), await open()];
    first.visible = second.visible = false;
    second.poll.ping();
    await pass(10_000);
    expect(first.leads).toBe(true);
  });
});

test.each(["locks", "channels"])("in a browser without %s, each tab polls for itself", async (what) => {
  if (what === "channels") vi.stubGlobal("BroadcastChannel", undefined);
  const options = what === "locks" ? { locks: undefined } : {};
  const [first, second] = [await open(options), await open(options)];
  await say("a");
  expect([first.texts, second.texts]).toEqual([["a"], ["a"]]);
  expect(world.waiting).toBe(2);
});

test("a stop leaves no poll, no timer and no listener", async () => {
  const tab = await open();
  tab.poll.stop();
  await settle();
  expect(world.waiting).toBe(0);
  expect(world.channels.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a tab that takes over reports the gap of a server with another history", async () => {
  world.say("a");
  world.say("b");
  const [first, second] = [await open(), await open()];
  world.refusal = () => reply("1-5", [], { gap: true });
  first.poll.stop();
  await settle();
  expect(second.gaps).toBe(1);
});

/** One event, and the tab that it concerns. */
const step = fc.record({
  event: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("say", "settle") },
    { weight: 1, arbitrary: fc.constant("open") },
    { weight: 3, arbitrary: fc.constantFrom("close", "ping", "hide", "show", "deaf", "rest") },
  ),
  which: fc.nat(),
});

test("after any events, every open tab has received every message once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      begin();
      const since = new Map<Tab, number>();
      const add = () => since.set(world.open(), world.messages.length);
      add();
      for (const { event, which } of steps) {
        const [tab] = [...since.keys()].slice(which % since.size);
        const [channel] = [...world.channels].slice(which % world.channels.size);
        if (event === "say") world.say(`${world.messages.length}`);
        else if (event === "open") add();
        else if (event === "settle") await settle();
        else if (event === "ping") tab?.poll.ping();
        else if (event === "deaf" && channel) channel.deaf = !channel.deaf;
        else if ((event === "hide" || event === "show") && tab) tab.visible = event === "show";
        else if (event === "rest") {
          tab?.poll.stop();
          tab?.poll.start();
        } else if (event === "close" && tab && since.size > 1) {
          tab.poll.stop();
          since.delete(tab);
        }
      }
      for (const channel of world.channels) channel.deaf = false;
      // When all tabs receive again, one more message brings each tab up to date.
      await pass(5000);
      world.say("the last word");
      await pass(5000);
      const all = world.messages.map(({ text }) => text);
      for (const [tab, from] of since) expect(tab.texts).toEqual(all.slice(from));
      expect(world.waiting).toBe(1);
      for (const tab of since.keys()) tab.poll.stop();
      await settle();
    }),
    { numRuns: 200 },
  );
});
