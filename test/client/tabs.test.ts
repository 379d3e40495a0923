/** One poll for all tabs: with fake locks, a fake channel and a fake server, so that every order of events can be had. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { refused, reply } from "./fake-room.js";
import { channelsOf, type Tab, World } from "./tabs-world.js";

let world: World;
let tabs: Tab[];

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  tabs = [];
  vi.stubGlobal("BroadcastChannel", channelsOf(world));
});

afterEach(() => {
  for (const tab of tabs) tab.poll.stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

async function open(...options: Parameters<World["open"]>): Promise<Tab> {
  const tab = world.open(...options);
  tabs.push(tab);
  await settle();
  return tab;
}
const settle = () => vi.advanceTimersByTimeAsync(0);
const leaders = () => tabs.filter((tab) => tab.leads);

describe("with several tabs", () => {
  test("one polls and all hear of everything, in order and once", async () => {
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

  test("the next one takes over from where it is when the first goes", async () => {
    const [first, second, third] = [await open(), await open(), await open()];
    world.say("a");
    await settle();
    first.poll.stop();
    world.say("b");
    await settle();
    expect(second.leads).toBe(true);
    expect(second.texts).toEqual(["a", "b"]);
    expect(third.texts).toEqual(["a", "b"]);
    expect(world.waiting).toBe(1);
  });

  test("one that comes back from a rest catches up", async () => {
    const [first, second] = [await open(), await open()];
    second.poll.stop();
    world.say("meanwhile");
    await settle();
    second.poll.start();
    await settle();
    expect(second.texts).toEqual(["meanwhile"]);
    expect(first.leads).toBe(true);
    expect(world.waiting).toBe(1);
  });

  test("one that has missed something asks the server for it, once", async () => {
    const [, second] = [await open(), await open()];
    const channel = [...world.channels][1];
    if (channel) channel.deaf = true;
    world.say("missed");
    await settle();
    expect(second.texts).toEqual([]);
    if (channel) channel.deaf = false;
    world.asked.length = 0;
    world.say("heard");
    await settle();
    expect(second.texts).toEqual(["missed", "heard"]);
    // The leader's next poll, and the one question.
    expect(world.asked.map(({ since, wait }) => `${since} ${wait}`).sort()).toEqual(["0-0 0", "2-0 25"]);
    expect(world.waiting).toBe(1);
  });

  test("a page that is older than the leader's last word is brought up to it", async () => {
    await open();
    world.say("a");
    await settle();
    const old = await open({ since: "0-0" });
    expect(old.texts).toEqual(["a"]);
  });

  test("a page that is newer than the leader's last word sees nothing twice", async () => {
    world.say("a");
    world.say("b");
    await open({ since: "0-0" });
    const fresh = await open();
    world.say("c");
    await settle();
    expect(fresh.texts).toEqual(["c"]);
  });

  test("a gap that the leader met is not believed by one that stands elsewhere", async () => {
    const [, second] = [await open(), await open()];
    world.say("a");
    await settle();
    for (const channel of world.channels) {
      const batch = { cursor: "9-0", present: 1, messages: [], gap: true };
      channel.onmessage?.({ data: { kind: "batch", from: "7-0", batch } });
    }
    await settle();
    world.say("b");
    await settle();
    expect(second.gaps).toBe(0);
    expect(second.texts).toEqual(["a", "b"]);
  });

  test("all tell how the connection is", async () => {
    const [first, second] = [await open(), await open()];
    expect(first.states.at(-1)).toBe("live");
    expect(second.states.at(-1)).toBe("live");
    world.refusal = () => refused(503, "draining");
    world.say("a");
    await settle();
    expect(first.states.at(-1)).toBe("waiting");
    expect(second.states.at(-1)).toBe("waiting");
  });

  test("a refusal ends all of them, and none asks again", async () => {
    for (let n = 0; n < 5; n++) await open();
    world.refusal = () => refused(401, "no_session");
    world.say("a");
    await settle();
    const asked = world.asked.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(tabs.map((tab) => tab.states.at(-1))).toEqual(Array.from({ length: 5 }, () => "no_session"));
    expect(world.asked.length).toBe(asked);
  });
});

describe("a tab that is looked at", () => {
  test("asks again after a log-out, once each time, and goes on when another tab has logged in", async () => {
    const tab = await open();
    world.refusal = () => refused(401, "no_session");
    world.say("a");
    await settle();
    const asked = world.asked.length;
    tab.poll.ping();
    await vi.advanceTimersByTimeAsync(60_000);
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
    world.say("a");
    await settle();
    const asked = world.asked.length;
    tab.poll.ping();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.asked.length).toBe(asked);
  });

  test("takes the lead from a hidden one", async () => {
    const [first, second] = [await open(), await open()];
    first.visible = false;
    second.poll.ping();
    await settle();
    expect(second.leads).toBe(true);
    world.say("a");
    await settle();
    expect(first.leads).toBe(false);
    expect(first.texts).toEqual(["a"]);
    expect(world.waiting).toBe(1);
    second.poll.stop();
    await settle();
    expect(first.leads).toBe(true);
  });

  test("takes the lead from one that does not answer", async () => {
    const [first, second] = [await open(), await open()];
    const [channel] = world.channels;
    if (channel) channel.onmessage = null;
    second.poll.ping();
    await vi.advanceTimersByTimeAsync(1999);
    expect(second.leads).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(second.leads).toBe(true);
    expect(first.leads).toBe(false);
  });

  test("leaves the lead to another that is looked at", async () => {
    const [first, second] = [await open(), await open()];
    second.poll.ping();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(first.leads).toBe(true);
    expect(second.leads).toBe(false);
  });

  test("waits its turn while it is hidden", async () => {
    const [first, second] = [await open(), await open()];
    first.visible = second.visible = false;
    second.poll.ping();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(first.leads).toBe(true);
  });
});

describe("where a browser has no", () => {
  test("locks, each tab polls for itself", async () => {
    const [first, second] = [await open({ locks: undefined }), await open({ locks: undefined })];
    world.say("a");
    await settle();
    expect([first.texts, second.texts]).toEqual([["a"], ["a"]]);
    expect(world.waiting).toBe(2);
  });

  test("channels, each tab polls for itself", async () => {
    vi.stubGlobal("BroadcastChannel", undefined);
    const [first, second] = [await open(), await open()];
    world.say("a");
    await settle();
    expect([first.texts, second.texts]).toEqual([["a"], ["a"]]);
    expect(world.waiting).toBe(2);
  });
});

test("after a stop, nothing is left: no poll, no timer, no listener", async () => {
  const tab = await open();
  tab.poll.stop();
  await settle();
  expect(world.waiting).toBe(0);
  expect(world.channels.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a server that knows another history is followed by all tabs", async () => {
  world.say("a");
  world.say("b");
  const [first, second] = [await open(), await open()];
  world.refusal = () => reply("1-5", [], { gap: true });
  first.poll.stop();
  await settle();
  expect(second.gaps).toBe(1);
});
