/** Wake-ups and the signal: fake timers and a fake fetch. */
import { getEventListeners } from "node:events";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { type Answers, enter, holds, message, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second, stop, stopSignal } from "./fake-time.js";

const names = ["online", "offline", "pageshow", "visibilitychange"];
fakeTime(1);
let events: EventTarget;
beforeEach(() => {
  events = new EventTarget();
});

const start = (answers: Answers, options = {}) => enter(answers, { events, ...options });
const away: Answers = () => Promise.reject(new TypeError("fetch failed"));
const listeners = () => names.flatMap((name) => getEventListeners(events, name));
const shown = (persisted: boolean) => Object.assign(new Event("pageshow"), { persisted });

describe("a poll is repeated at once", () => {
  const wakes: [string, () => Event][] = [
    ["online", () => new Event("online")],
    ["offline", () => new Event("offline")],
    ["pageshow", () => shown(false)],
    ["pageshow from the back/forward cache", () => shown(true)],
    ["becoming visible", () => new Event("visibilitychange")],
  ];
  test.each(wakes)("after a wake-up during a pause: %s", async (_, event) => {
    const { asked } = start(away);
    await pass(20 * second); // into the wait of 16 s
    const before = asked.length;
    events.dispatchEvent(event());
    await pass(0);
    expect(asked.length).toBe(before + 1);
    await pass(second); // the first wait again, not the sixth
    expect(asked.length).toBe(before + 2);
  });

  test.each(wakes)("after a wake-up while it is held, if it is most likely dead: %s", async (name, event) => {
    const { asked } = start(holds);
    await pass(5 * second);
    events.dispatchEvent(event());
    await pass(0);
    const dead = name.includes("line") || name.includes("cache");
    expect(asked[1]?.signal.aborted).toBe(dead);
    expect(asked.length).toBe(dead ? 4 : 2);
  });

  test("but not when the page becomes hidden", async () => {
    vi.stubGlobal("document", { visibilityState: "hidden" });
    const { asked } = start(away);
    await pass(20 * second);
    const before = asked.length;
    events.dispatchEvent(new Event("visibilitychange"));
    await pass(0);
    expect(asked.length).toBe(before);
  });

  test("when the machine wakes up: the hung poll is cut", async () => {
    const { asked } = start(holds);
    await pass(5 * second);
    vi.setSystemTime(Date.now() + 3_600_000);
    await pass(2 * second);
    expect(asked[1]?.signal.aborted).toBe(true);
    expect(asked.length).toBe(4);
    await pass(10 * second);
    expect(asked.length).toBe(4);
  });

  test("once, when both the page and the clock show a wake-up", async () => {
    const { asked } = start(holds);
    await pass(5 * second);
    vi.setSystemTime(Date.now() + 3_600_000);
    events.dispatchEvent(shown(true));
    await pass(10 * second);
    expect(asked.length).toBe(4);
  });

  test("but not when the clock is set back or a timer is a little late", async () => {
    const { asked } = start(holds);
    await pass(second);
    vi.setSystemTime(Date.now() - 3_600_000);
    await pass(2 * second);
    vi.setSystemTime(Date.now() + 9 * second);
    await pass(2 * second);
    expect(asked.length).toBe(2);
  });

  test("but not before the Retry-After of the server", async () => {
    const { asked } = start(() => refused(429, "slow_down", { "retry-after": "20" }));
    await pass(5 * second);
    events.dispatchEvent(new Event("online"));
    await pass(15 * second - 1);
    expect(asked.length).toBe(1);
    await pass(1);
    expect(asked.length).toBe(2);
  });

  const storms: [string, Answers][] = [
    ["no server", away],
    ["a good server", holds],
    ["a server that asks for nothing", () => refused(503, "draining", { "retry-after": "0" })],
  ];
  test.each(storms)("but not for each event of a storm: %s", async (_, answers) => {
    const { asked } = start(answers);
    for (let i = 0; i < 1000; i++) {
      for (const event of [new Event("online"), shown(true), new Event("visibilitychange")])
        events.dispatchEvent(event);
      await pass(20);
    }
    expect(asked.length).toBeGreaterThan(9); // 20 s, and a wake-up acts every second
    expect(asked.length).toBeLessThan(45);
  });
});

describe("the end of polling leaves no timer, no request and no listener", () => {
  const stages: [string, Answers, number][] = [
    ["by the signal, while a poll is held", holds, 5 * second],
    ["by the signal, during a pause", away, 20 * second],
    ["by the signal, during the retry of a draining server", () => reply("1-0", [], { retry: 2000 }), second],
    ["by the signal, after a burst of messages", (_, n) => reply(`${n}-0`, [message(`${n}-0`)]), 5 * second],
  ];
  test.each(stages)("%s", async (_, answers, ms) => {
    const { asked, states, done } = start(answers);
    await pass(ms);
    expect(listeners().length).toBe(4);
    stop();
    await done;
    const before = asked.length;
    expect([vi.getTimerCount(), listeners(), getEventListeners(stopSignal(), "abort")]).toEqual([0, [], []]);
    expect(states.at(-1)).toMatchObject({ name: "stopped", reason: "aborted" });
    await pass(120 * second);
    expect(asked.length).toBe(before);
  });

  test("by the signal, while the consumer handles a batch", async () => {
    const { batches } = longPoll({
      base: "http://chat.test/",
      user: "ann",
      events,
      signal: stopSignal(),
      fetch: async () => reply("1-0"),
    });
    await batches.next();
    expect(listeners().length).toBe(4);
    stop();
    expect([vi.getTimerCount(), listeners()]).toEqual([0, []]);
    expect(await batches.next()).toEqual({ done: true, value: undefined });
  });

  test("by the signal, before polling began", async () => {
    stop();
    const { asked, done } = start(holds);
    await done;
    expect([asked.length, vi.getTimerCount(), listeners()]).toEqual([0, 0, []]);
  });

  test("by the consumer, which breaks or throws", async () => {
    for (const leave of [() => "break", () => Promise.reject(new Error("enough"))]) {
      const { batches } = longPoll({
        base: "http://chat.test/",
        user: "ann",
        events,
        fetch: async () => reply("1-0"),
      });
      const loop = async () => {
        for await (const _ of batches) if ((await leave()) === "break") break;
      };
      await loop().catch((error: unknown) => expect(String(error)).toContain("enough"));
      expect([vi.getTimerCount(), listeners()]).toEqual([0, []]);
    }
  });
});
