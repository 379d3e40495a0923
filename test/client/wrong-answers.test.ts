/** A client that receives wrong replies polls at a low rate and does not stop: fake timers and a fake fetch. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Answers, enter, holds, message, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second } from "./fake-time.js";

fakeTime();

const html = (status: number) => new Response("<!doctype html><title>Log in</title>", { status });
const good = { cursor: "1-0", present: 1, messages: [] };
const body = (wrong: unknown) => () => Response.json(wrong);
/** What each server answers, and the code that the client reports. */
const wrong: [what: string, code: string, Answers][] = [
  ["no network", "unreachable", () => Promise.reject(new TypeError("fetch failed"))],
  ["a good body under a bad status", "bad_answer", () => Response.json(good, { status: 502 })],
  ["a redirect", "bad_answer", () => new Response(null, { status: 303, headers: { location: "login" } })],
  ["a log-in page", "bad_answer", () => html(200)],
  ["half a JSON", "bad_answer", () => new Response('{"cursor":"1-0","present":1,"messages":[{"id"')],
  ["null", "bad_answer", body(null)],
  ["no cursor", "bad_answer", body({ present: 1, messages: [] })],
  ["a cursor that is a number", "bad_answer", body({ ...good, cursor: 5 })],
  ["a message without an id", "bad_answer", body({ ...good, messages: [{ user: "a", text: "b", at: 1 }] })],
  ["a kind that is not a text", "bad_answer", body({ ...good, messages: [{ ...message("2-0"), kind: 5 }] })],
  ["an id of another kind", "bad_answer", body({ ...good, messages: [{ ...message("1-0"), id: "x" }] })],
  ["a 503 without Retry-After", "draining", () => refused(503, "draining")],
];

test.each(wrong)("the client polls at a low rate: %s", async (_, code, answers) => {
  const usual = enter(answers);
  await pass(120 * second);
  // 0.5, 1, 2, 4, 8 and then 15 s; a probe may go before each.
  expect(usual.asked.length).toBeLessThan(30);
  expect(usual.asked.length).toBeGreaterThan(5);
  const told = usual.states.flatMap((state) => (state.name === "waiting" ? [state.code] : []));
  expect([...new Set(told)]).toEqual([code]);
  expect(usual.states.at(-1)?.name).not.toBe("stopped");
  expect(usual.texts().length).toBe(new Set(usual.texts()).size);

  vi.spyOn(Math, "random").mockReturnValue(0);
  const unlucky = enter(answers);
  await pass(10 * second);
  expect(unlucky.asked.length).toBeLessThan(90);
});

/** The server can be reached, so the backoff does not grow. Polls that it does not hold have no wait in the end. */
const notHeld: [string, Answers][] = [
  ["nothing new", () => reply("1-0")],
  ["the same message", () => reply("1-0", [message("1-0")])],
  ["a drain that never ends", () => reply("1-0", [], { retry: 0 })],
  [
    "room for a probe only",
    ({ query }) =>
      query.get("wait") === "0" ? reply("1-0", [message("1-0")]) : refused(503, "too_many_waiters"),
  ],
];

test.each(notHeld)("the client polls about once a second: %s, at once", async (_, answers) => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const { asked, texts, states } = enter(answers);
  await pass(10 * second);
  expect(asked.length).toBeLessThan(25);
  await pass(60 * second);
  expect(asked.length).toBeLessThan(85);
  expect(asked.length).toBeGreaterThan(60);
  expect(asked.at(-1)?.query.get("wait")).toBe("0");
  expect(states.at(-1)?.name).not.toBe("stopped");
  expect(texts().length).toBe(new Set(texts()).size);
});

test("the client polls at a low rate: a new gap each time, at once", async () => {
  const { asked } = enter((_, n) => reply(`${n}-0`, [message(`${n}-0`)], { gap: true }));
  await pass(120 * second);
  expect(asked.length).toBeLessThan(30);
  expect(asked.length).toBeGreaterThan(5);
});

test.each([
  ["a new message each time", 1],
  ["nothing new, under a new cursor", 0],
])("the client polls at most about ten times a second: %s, at once", async (_, count) => {
  const { asked, batches } = enter((_, n) => reply(`${n}-0`, [message(`${n}-0`)].slice(0, count)));
  await pass(10 * second);
  expect(asked.length).toBeLessThan(130);
  expect(batches.length).toBe(asked.length);
});

test("a message of an unknown kind is skipped, and the others are returned", async () => {
  const later = { ...message("2-0"), kind: "poke" };
  const batch = () => Response.json({ cursor: "3-0", present: 1, messages: [later, message("3-0")] });
  const { batches, states, asked } = enter((poll) =>
    poll.query.get("since") === "now" ? batch() : holds(poll),
  );
  await pass(0);
  expect(batches[0]).toEqual({ cursor: "3-0", present: 1, messages: [message("3-0")] });
  expect(asked.at(-1)?.query.get("since")).toBe("3-0");
  expect(states.map(({ name }) => name)).toEqual(["connecting", "live"]);
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

test("the client recovers when the server does", async () => {
  let wrong = true;
  const { states, asked } = enter((poll) => (wrong ? html(502) : holds(poll)));
  await pass(60 * second);
  wrong = false;
  await pass(30 * second);
  expect(states.at(-1)).toEqual({ name: "live" });
  expect(asked.at(-1)?.query.get("wait")).toBe("25");
});
