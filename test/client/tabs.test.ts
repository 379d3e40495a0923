/** One poll for all tabs: fake locks, a fake channel and a fake server, so that any order of events can be tested. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fakeTime, message, pass, refused, reply, second } from "./fake.js";
import { channelsOf, type Tab, World } from "./tabs-world.js";

let world: World;

fakeTime();
beforeEach(begin);
afterEach(() => {
  for (const tab of world.tabs) tab.poll.stop();
});

function begin(): void {
  world = new World();
  vi.stubGlobal("BroadcastChannel", channelsOf(world));
  vi.stubGlobal("navigator", { locks: world.locks });
}

/** Lets everything happen that happens without another message. */
const settle = () => pass(second);
async function open(...options: Parameters<World["open"]>): Promise<Tab> {
  const tab = world.open(...options);
  await settle();
  return tab;
}
const say = (text: string) => {
  world.say(text);
  return settle();
};

describe("with several tabs", () => {
  test("a tab that has missed a message asks the server for it once", async () => {
    const [, missing] = [await open(), await open()];
    if (missing.channel) missing.channel.deaf = true;
    await say("missed");
    expect(missing.texts).toEqual([]);
    if (missing.channel) missing.channel.deaf = false;
    world.asked.length = 0;
    await say("heard");
    expect(missing.texts).toEqual(["missed", "heard"]);
    // The leader's next poll, and the one request.
    expect(world.asked.sort()).toEqual(["0-0 0", "2-0 25"]);
    expect(world.waiting).toBe(1);
  });

  test.each([
    ["keeps its history if the server does", () => undefined, [0, ["a", "b", "c", "d"]]],
    [
      "asks the server, which has another history too",
      () => () => reply("1-0", [message("1-0")], { gap: true }),
      [1, ["a", "b", "c", "text of 1-0"]],
    ],
  ])("a tab that the leader tells of a gap after another cursor %s", async (_, refusal, expected) => {
    const [, tab] = [await open(), await open()];
    for (const text of ["a", "b", "c"]) await say(text);
    world.refusal = refusal();
    const batch = { cursor: "1-0", present: 1, messages: [], gap: true };
    tab.channel?.onmessage?.({ data: { from: "4-0", batch } });
    await settle();
    if (!world.refusal) await say("d");
    expect([tab.gaps, tab.texts]).toEqual(expected);
  });

  test("every tab receives the state of the poll, and a final error stops all", async () => {
    for (let n = 0; n < 3; n++) world.open();
    await settle();
    const states = () => world.tabs.map((tab) => tab.states.at(-1));
    expect(new Set(states())).toEqual(new Set(["live"]));
    world.refusal = () => refused(503, "draining", { "retry-after": "3" });
    await say("b");
    expect(new Set(states())).toEqual(new Set(["waiting"]));
    world.refusal = () => refused(401, "no_session");
    await pass(60 * second);
    expect(new Set(states())).toEqual(new Set(["no_session"]));
    const asked = world.asked.length;
    await pass(60 * second);
    expect(world.asked.length).toBe(asked);
  });
});

describe("a tab that becomes visible", () => {
  test("leads from its own cursor until it closes", async () => {
    const [first, shown] = [await open(), await open()];
    if (shown.channel) shown.channel.deaf = true; // as if it were suspended
    await say("a");
    shown.show();
    await settle();
    expect([first.leads, shown.leads, shown.texts]).toEqual([false, true, ["a"]]);
    await say("b");
    expect([first.texts, shown.texts]).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
    expect(world.waiting).toBe(1);
    shown.poll.stop();
    await settle();
    expect(first.leads).toBe(true);
  });

  test("leads from the start if it is opened visible, and does not poll anew when it is shown again", async () => {
    const [first, shown] = [await open(), await open({}, true)];
    expect([first.leads, shown.leads]).toEqual([false, true]);
    const asked = world.asked.length;
    shown.show();
    await settle();
    expect(world.asked.length).toBe(asked);
  });

  test("polls once after a 401, and continues when another tab has logged in", async () => {
    const tab = await open();
    world.refusal = () => refused(401, "no_session");
    await say("a");
    const asked = world.asked.length;
    tab.show();
    await pass(60 * second);
    expect([world.asked.length, tab.states.at(-1)]).toEqual([asked + 1, "no_session"]);
    world.refusal = undefined;
    world.say("b");
    tab.show();
    await settle();
    expect([tab.texts, tab.states.at(-1)]).toEqual([["a", "b"], "live"]);
  });
});

test("in a browser without locks, each tab polls for itself", async () => {
  vi.stubGlobal("navigator", {});
  const tabs = [await open(), await open()];
  await say("a");
  expect(tabs.map(({ texts }) => texts)).toEqual([["a"], ["a"]]);
  expect(world.waiting).toBe(2);
});

test("a stop leaves no poll, no timer and no listener", async () => {
  const tab = await open();
  tab.poll.stop();
  await settle();
  expect([world.waiting, world.channels.size, vi.getTimerCount()]).toEqual([0, 0, 0]);
});

/** One event, and the tab that it concerns. */
const step = fc.record({
  event: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("say", "settle") },
    { weight: 1, arbitrary: fc.constant("open") },
    { weight: 2, arbitrary: fc.constantFrom("close", "show", "hide", "deaf", "rest") },
  ),
  which: fc.nat(),
});

test("after any events, every open tab has received every message once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      begin();
      /** The tabs, and the number of messages that their pages show from the start. */
      const since = new Map<Tab, number>();
      const add = (age: number) => {
        const seen = Math.max(0, world.messages.length - age);
        since.set(world.open({ since: `${seen}-0` }), seen);
      };
      add(0);
      for (const { event, which } of steps) {
        const [tab] = [...since.keys()].slice(which % since.size);
        const [channel] = [...world.channels].slice(which % world.channels.size);
        if (event === "say") world.say(`${world.messages.length}`);
        else if (event === "open") add(which % 3);
        else if (event === "settle") await settle();
        else if (event === "show") tab?.show();
        else if (event === "hide" && tab) tab.isVisible = false;
        else if (event === "deaf" && channel) channel.deaf = !channel.deaf;
        else if (event === "rest") {
          tab?.poll.stop();
          tab?.start();
        } else if (event === "close" && tab && since.size > 1) {
          tab.poll.stop();
          since.delete(tab);
        }
      }
      for (const channel of world.channels) channel.deaf = false;
      // When all tabs receive again, one more message brings each tab up to date.
      await settle();
      world.say("the last word");
      await settle();
      const all = world.messages.map(({ text }) => text);
      for (const [tab, from] of since) expect(tab.texts).toEqual(all.slice(from));
      expect([...since.keys()].filter((tab) => tab.leads).length).toBe(1);
      expect(world.waiting).toBe(1);
      for (const tab of since.keys()) tab.poll.stop();
      await settle();
    }),
    { numRuns: 200 },
  );
});
