/** Recovery after outages and sleep, wrong replies, and the end of polling. Fake timers and a fake fetch. */
import { getEventListeners } from "node:events";
import fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { enter, fakeTime, fakeWindow, open, pass, second, stop, stopSignal } from "./fake.js";
import { type Answers, away, holds, html, later, message, never, refused, reply } from "./replies.js";

fakeTime();
const names = ["online", "offline", "visibilitychange"];
let window: EventTarget;
beforeEach(() => {
  window = fakeWindow();
});

const listeners = () => names.flatMap((name) => getEventListeners(window, name));
const online = () => window.dispatchEvent(new Event("online"));

test.each(names)("a wake-up ends a pause and restarts the back-off: %s", async (name) => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  const { asked } = enter(away);
  await pass(20 * second); // into the wait of 16 s
  const before = asked.length;
  window.dispatchEvent(new Event(name));
  await pass(0);
  expect(asked.length).toBe(before + 1);
  await pass(second); // the first wait again, not the sixth
  expect(asked.length).toBe(before + 2);
});

test.each<[string, readonly string[], sleepMs: number]>([
  ...names.map((name): [string, string[], number] => [name, [name], 0]),
  ["the clock, after a sleep", [], 3_600_000],
  ["the clock and the page, after a sleep", ["visibilitychange"], 3_600_000],
])("a wake-up repeats a held poll once, which may be dead: %s", async (_, events, sleepMs) => {
  const { asked } = enter(holds);
  await pass(5 * second);
  vi.setSystemTime(Date.now() + sleepMs);
  for (const name of events) window.dispatchEvent(new Event(name));
  await pass(12 * second);
  expect(asked[1]?.signal.aborted).toBe(true);
  expect(asked.length).toBe(4);
});

test("a wake-up is not a page that becomes hidden, a clock that is set back or a timer that is a little late", async () => {
  vi.stubGlobal("document", { hidden: true });
  const { asked } = enter(holds);
  await pass(2 * second);
  window.dispatchEvent(new Event("visibilitychange"));
  await pass(second);
  vi.setSystemTime(Date.now() - 3_600_000);
  await pass(2 * second);
  vi.setSystemTime(Date.now() + 9 * second);
  await pass(2 * second);
  expect(asked.length).toBe(2);
});

test("a wake-up does not shorten the Retry-After of the server", async () => {
  const { asked } = enter(() => refused(429, "slow_down", { "retry-after": "20" }));
  await pass(5 * second);
  online();
  await pass(15 * second - 1);
  expect(asked.length).toBe(1);
  await pass(1);
  expect(asked.length).toBe(2);
});

test.each<[string, Answers]>([
  ["no server", away],
  ["a good server", holds],
  ["a server that asks for nothing", () => refused(503, "draining", { "retry-after": "0" })],
])("a wake-up acts once a second in a storm of events: %s", async (_, answers) => {
  const { asked } = enter(answers);
  for (let i = 0; i < 1000; i++) {
    for (const name of names) window.dispatchEvent(new Event(name));
    await pass(20);
  }
  expect(asked.length).toBeGreaterThan(9); // in 20 s
  expect(asked.length).toBeLessThan(45);
});

test("a wake-up on a network that needs 4 s for each reply leads to a live poll in the end", async () => {
  const { states } = enter((poll) =>
    poll.query.get("wait") === "0"
      ? Promise.race([later(4 * second, () => reply("1-0")), never(poll)])
      : never(poll),
  );
  await pass(5 * second);
  online();
  await pass(0);
  expect(states.at(-1)?.name).toBe("connecting");
  await pass(25 * second);
  expect(states.at(-1)).toEqual({ name: "live" });
});

test.each<[string, number, () => unknown]>([
  ["a wake-up", 5, online],
  ["a held poll that timed out", 35, () => {}],
])("after %s, six dead connections cost less than 20 s", async (_, seconds, then) => {
  const { asked, states } = enter((poll, n) => (n > 2 && n < 9 ? never(poll) : holds(poll)));
  await pass(seconds * second);
  then();
  await pass(20 * second);
  expect(states.at(-1)).toEqual({ name: "live" });
  expect(asked.length).toBe(2 + 6 + 2);
});

test.each<[string, Answers, number]>([
  ["by the signal, while a poll is held", holds, 5 * second],
  ["by the signal, during a pause", away, 20 * second],
  ["by the signal, after a burst of messages", (_, n) => reply(`${n}-0`, [message(`${n}-0`)]), 5 * second],
])("the end of polling leaves no timer, no request and no listener: %s", async (_, answers, ms) => {
  const { asked, states, done } = enter(answers);
  await pass(ms);
  expect(listeners().length).toBe(3);
  stop();
  await done;
  const before = asked.length;
  expect([vi.getTimerCount(), listeners(), getEventListeners(stopSignal(), "abort")]).toEqual([0, [], []]);
  expect(states.at(-1)).toMatchObject({ name: "stopped", reason: "aborted" });
  await pass(120 * second);
  expect(asked.length).toBe(before);
});

test("a break of the loop, and a signal during a batch or before polling began, leave no timer and no listener", async () => {
  for await (const _ of open(holds).batches) break;
  expect([vi.getTimerCount(), listeners()]).toEqual([0, []]);
  const { batches } = open(holds);
  await batches.next();
  expect(listeners().length).toBe(3);
  stop();
  expect([vi.getTimerCount(), listeners()]).toEqual([0, []]);
  expect(await batches.next()).toEqual({ done: true, value: undefined });
  const { asked, done } = enter(holds);
  await done;
  expect([asked.length, vi.getTimerCount(), listeners()]).toEqual([0, 0, []]);
});

const good = { cursor: "1-0", present: 1, messages: [] };
const body = (wrong: unknown) => () => Response.json(wrong);

test.each<[what: string, Answers]>([
  ["a good body under a bad status", () => Response.json(good, { status: 502 })],
  ["a redirect", () => new Response(null, { status: 303, headers: { location: "login" } })],
  ["a log-in page", () => html(200)],
  ["half a JSON", () => new Response('{"cursor":"1-0","present":1,"messages":[{"id"')],
  ["null", body(null)],
  ["no cursor", body({ present: 1, messages: [] })],
  ["a message without an id", body({ ...good, messages: [{ user: "a", text: "b", at: 1 }] })],
  ["an id of another kind", body({ ...good, messages: [{ ...message("1-0"), id: "x" }] })],
  ["the HTML of a firewall with 401", () => html(401)],
])("the client polls at a low rate, and recovers: %s", async (_, answers) => {
  let wrong = true;
  const { asked, states, texts } = enter((poll, n) => {
    if (wrong) return answers(poll, n);
    return poll.query.get("since") === "now" ? reply("2-0", [message("2-0")]) : holds(poll);
  });
  await pass(120 * second);
  // 0.5, 1, 2, 4, 8 and then 15 s; a probe may go before each.
  expect(asked.length).toBeLessThan(30);
  expect(asked.length).toBeGreaterThan(5);
  const told = states.flatMap((state) => (state.name === "waiting" ? [state.code] : []));
  expect([...new Set(told)]).toEqual(["bad_answer"]);
  wrong = false;
  await pass(60 * second);
  expect(states.at(-1)).toEqual({ name: "live" });
  expect(texts()).toEqual(["text of 2-0"]);
});

/** The server can be reached, so the back-off does not grow. Polls that it does not hold have no wait in the end. */
test.each<[string, Answers, perMinute: number]>([
  ["the same message, at once", () => reply("1-0", [message("1-0")]), 60],
  ["a drain that never ends", () => reply("1-0", [], { retry: 0 }), 60],
  ["a new message each time, at once", (_, n) => reply(`${n}-0`, [message(`${n}-0`)]), 600],
  ["nothing new, under a new cursor, at once", (_, n) => reply(`${n}-0`), 600],
])("the client polls at a bounded rate: %s", async (_, answers, perMinute) => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const { asked, texts, states } = enter(answers);
  await pass(60 * second);
  expect(asked.length).toBeLessThan(perMinute + 25);
  expect(asked.length).toBeGreaterThanOrEqual(perMinute);
  if (perMinute === 60) expect(asked.at(-1)?.query.get("wait")).toBe("0");
  expect(states.at(-1)?.name).not.toBe("stopped");
  expect(texts().length).toBe(new Set(texts()).size);
});

test("the client polls about once a second at most, whatever the JSON", async () => {
  const answer = fc.record(
    {
      cursor: fc.oneof(fc.constantFrom("1-0", "2-0", "x"), fc.jsonValue()),
      present: fc.oneof(fc.nat(), fc.jsonValue()),
      messages: fc.oneof(fc.constant([]), fc.constant([message("1-1")]), fc.jsonValue()),
      gap: fc.jsonValue(),
      retry: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(answer, fc.jsonValue()), async (body) => {
      const ended = new AbortController();
      const { asked, done } = enter(() => Response.json(body), { signal: ended.signal });
      await pass(60 * second);
      ended.abort();
      await done;
      expect(asked.length).toBeLessThan(75);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 100 },
  );
});
