/** Wake-ups and the signal: fake timers and a fake fetch. */
import { getEventListeners } from "node:events";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { type Answers, away, enter, holds, message, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second, stop, stopSignal } from "./fake-time.js";

const names = ["online", "offline", "pageshow", "visibilitychange"];
fakeTime(1);
let events: EventTarget;
beforeEach(() => {
  events = new EventTarget();
});

const start = (answers: Answers, options = {}) => enter(answers, { events, ...options });
const listeners = () => names.flatMap((name) => getEventListeners(events, name));
const shown = (persisted: boolean) => Object.assign(new Event("pageshow"), { persisted });

describe("a wake-up", () => {
  const wakes: [string, () => Event, boolean][] = [
    ["online", () => new Event("online"), true],
    ["offline", () => new Event("offline"), true],
    ["pageshow from the back/forward cache", () => shown(true), true],
    ["becoming visible", () => new Event("visibilitychange"), false],
  ];
  test.each(wakes)("ends a pause and restarts the backoff: %s", async (_, event) => {
    const { asked } = start(away);
    await pass(20 * second); // into the wait of 16 s
    const before = asked.length;
    events.dispatchEvent(event());
    await pass(0);
    expect(asked.length).toBe(before + 1);
    await pass(second); // the first wait again, not the sixth
    expect(asked.length).toBe(before + 2);
  });

  test.each(wakes)("repeats a held poll if it is most likely dead: %s", async (_, event, dead) => {
    const { asked } = start(holds);
    await pass(5 * second);
    events.dispatchEvent(event());
    await pass(0);
    expect(asked[1]?.signal.aborted).toBe(dead);
    expect(asked.length).toBe(dead ? 4 : 2);
  });

  test("is not the start of a page, nor a page that becomes hidden", async () => {
    vi.stubGlobal("document", { hidden: true });
    const { asked } = start(away);
    await pass(20 * second);
    const before = asked.length;
    events.dispatchEvent(new Event("visibilitychange"));
    events.dispatchEvent(shown(false));
    await pass(0);
    expect(asked.length).toBe(before);
  });

  test.each([
    ["clock", []],
    ["clock and the page", [shown(true)]],
  ])("of the machine, shown by the %s, repeats a held poll once", async (_, all) => {
    const { asked } = start(holds);
    await pass(5 * second);
    vi.setSystemTime(Date.now() + 3_600_000);
    for (const event of all) events.dispatchEvent(event);
    await pass(12 * second);
    expect(asked[1]?.signal.aborted).toBe(true);
    expect(asked.length).toBe(4);
  });

  test("is not a clock that is set back or a timer that is a little late", async () => {
    const { asked } = start(holds);
    await pass(second);
    vi.setSystemTime(Date.now() - 3_600_000);
    await pass(2 * second);
    vi.setSystemTime(Date.now() + 9 * second);
    await pass(2 * second);
    expect(asked.length).toBe(2);
  });

  test("does not shorten the Retry-After of the server", async () => {
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
  test.each(storms)("acts once a second in a storm of events: %s", async (_, answers) => {
    const { asked } = start(answers);
    for (let i = 0; i < 1000; i++) {
      for (const event of [new Event("online"), shown(true), new Event("visibilitychange")])
        events.dispatchEvent(event);
      await pass(20);
    }
    expect(asked.length).toBeGreaterThan(9); // in 20 s
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

  const readRoom = (options = {}) =>
    longPoll({ base: "http://chat.test/", user: "ann", events, fetch: async () => reply("1-0"), ...options })
      .batches;

  test("by the signal, while the consumer handles a batch", async () => {
    const batches = readRoom({ signal: stopSignal() });
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

  test.each(["breaks", "throws"])("by the consumer, which %s", async (how) => {
    const loop = async () => {
      for await (const _ of readRoom()) {
        if (how === "breaks") break;
        throw new Error("enough");
      }
    };
    await loop().catch((error: unknown) => expect(String(error)).toContain("enough"));
    expect([vi.getTimerCount(), listeners()]).toEqual([0, []]);
  });
});
