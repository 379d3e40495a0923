/** The poll of the chat: its cursor, its back-off, and its end. Fake timers and a fake fetch. */
import { expect, test, vi } from "vitest";
import type { Message } from "../../src/client/index.js";
import { enter, fakeTime, open, pass, second } from "./fake.js";
import { type Answers, away, holds, html, later, message, never, refused, reply } from "./replies.js";

fakeTime(1);

test("the cursor of each reply is the since of the next poll, also after a failure; the first is now, in a probe", async () => {
  const failure = refused(500, "internal");
  const answers = [reply("1-0"), reply("2-0", [message("2-0")]), failure, reply("3-5", [message("3-5")])];
  const { asked, texts, states } = enter((poll) => answers.shift() ?? never(poll));
  await pass(2 * second);
  const all = (name: string) => asked.map(({ query }) => query.get(name));
  expect(all("since")).toEqual(["now", "1-0", "2-0", "2-0", "3-5"]);
  expect(all("wait")).toEqual(["0", "25", "25", "0", "12"]);
  expect(new Set(all("client"))).toEqual(new Set([expect.stringMatching(/^[\d-]{7,43}$/)]));
  expect(texts()).toEqual(["text of 2-0", "text of 3-5"]);
  expect(states.map(({ name }) => name)).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
});

test("the cursor does not move before the consumer asks for the next batch", async () => {
  const { asked, batches } = open(() => reply("1-0", [message("1-0")]));
  expect(asked.length).toBe(0);
  await batches.next();
  await pass(60 * second);
  expect(asked.length).toBe(1);
  await batches.return();
  expect(vi.getTimerCount()).toBe(0);
});

/** Returns a reply with these ids, and perhaps with a gap. */
const batch = (words: string) => {
  const messages = ((words.match(/\d+-\d+/g) ?? []) as Message["id"][]).map((id) => message(id));
  return reply(messages.at(-1)?.id ?? "", messages, words.startsWith("gap") ? { gap: true } : {});
};

test.each([
  ["when the server repeats it", "0", "9-0 9-0, 9-0 10-0, 10-0", "9-0 10-0"],
  ["in order: ids are compared as two integers", "10-9", "9-0 10-2 10-9 10-10", "10-10"],
  ["when the history lost its end, and a gap follows", "0", "9-0 10-0 11-0, gap 9-0", "9-0 10-0 11-0"],
  ["also with an older id, if it follows a gap in another history", "now", "11-0, gap 3-0", "11-0 3-0"],
])("each message is returned once, %s", async (_, since, replies, ids) => {
  const answers = replies.split(", ").map(batch);
  const { batches, texts, asked } = enter((poll) => answers.shift() ?? never(poll), { since });
  await pass(10 * second);
  expect(texts()).toEqual(ids.split(" ").map((id) => `text of ${id}`));
  expect(asked.at(-1)?.query.get("since")).toBe(batches.at(-1)?.cursor);
});

test("when two servers with two histories report gaps alternately, each message is returned once, at a low rate", async () => {
  const { texts, asked } = enter(({ query }) =>
    batch(query.get("since") === "5-0" ? "gap 7-0 8-0" : "gap 5-0"),
  );
  await pass(60 * second);
  expect(texts()).toEqual(["text of 5-0", "text of 7-0", "text of 8-0"]);
  expect(asked.length).toBeLessThan(20);
});

test("the first reply after a long outage has a gap, and the next poll is held at once", async () => {
  let down = true;
  const { asked, states } = enter((poll) => {
    if (down) return away();
    return poll.query.get("since") === "9-0" ? never(poll) : batch("gap 9-0");
  });
  await pass(300 * second);
  down = false;
  while (states.at(-1)?.name !== "live") await pass(second);
  await pass(second);
  expect(asked.at(-1)?.query.get("since")).toBe("9-0");
});

test("messages that follow each other quickly need no timer, because the timers of a hidden tab are late", async () => {
  const { texts } = enter((poll, n) => (n > 6 ? never(poll) : batch(`${n}-0`)));
  await pass(0);
  expect(texts()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `text of ${n}-0`));
});

test("a gap that the server reports again and again is returned once", async () => {
  const { batches } = enter(() => batch("gap 1-0"));
  await pass(60 * second);
  expect(batches.length).toBeGreaterThan(3);
  expect(batches.filter(({ gap }) => gap).length).toBe(1);
});

test("a message of an unknown kind is skipped, and the others are returned", async () => {
  const unknown = { ...message("2-0"), kind: "poke" };
  const batch = () => Response.json({ cursor: "3-0", present: 1, messages: [unknown, message("3-0")] });
  const { batches, asked } = enter((poll) => (poll.query.get("since") === "now" ? batch() : never(poll)));
  await pass(0);
  expect(batches).toEqual([{ cursor: "3-0", present: 1, messages: [message("3-0")] }]);
  expect(asked.at(-1)?.query.get("since")).toBe("3-0");
});

test("the back-off doubles up to 30 s, is drawn at random from zero to its limit, and is at least 250 ms", async () => {
  const { pauses } = enter(away);
  await pass(120 * second);
  expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((s) => s * second));
  vi.spyOn(Math, "random").mockReturnValueOnce(0).mockReturnValueOnce(0.5).mockReturnValueOnce(0.25);
  const { pauses: drawn } = enter(away);
  await pass(second);
  expect(drawn.slice(0, 2)).toEqual([250, 1000]);
});

test("the back-off restarts after a poll that brought a message", async () => {
  const { pauses } = enter((_, n) => (n === 4 || n === 5 ? batch(`${n}-0`) : away()));
  await pass(15 * second);
  expect(pauses.slice(0, 4)).toEqual([1, 2, 4, 1].map((s) => s * second));
});

test.each([
  ["7", 7],
  ["-3", 0],
  ["soon", 0],
  ["99999999999999999999999", 300],
  ["Tue, 01 Jan 2030 00:00:07 GMT", 7],
  ["Mon, 31 Dec 2029 23:59:59 GMT", 0],
])(
  "the back-off is added to a Retry-After of %j, so clients do not return together",
  async (header, seconds) => {
    const { pauses } = enter(() => refused(503, "too_many_waiters", { "retry-after": header }));
    await pass(0);
    expect(pauses).toEqual([(seconds + 1) * second]);
  },
);

test("the back-off is not added to a draining server's retry, after which the polls are as long as before", async () => {
  const draining = () => later(second / 2, () => reply("1-0", [], { retry: 1234 }));
  const { asked, pauses } = enter((poll, n) => (n === 2 ? draining() : holds(poll)));
  await pass(second / 2);
  expect(pauses).toEqual([1234]);
  await pass(1234);
  expect(asked.slice(2).map(({ query }) => query.get("wait"))).toEqual(["0", "25"]);
});

test("a poll that outlives its wait is cut after the timeout slack and repeated at once from the same cursor", async () => {
  const { asked } = enter(holds);
  await pass(35 * second - 1);
  expect(asked.at(-1)?.signal.aborted).toBe(false);
  await pass(1);
  expect(asked[1]?.signal.aborted).toBe(true);
  expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "1-0", "1-0", "1-0"]);
});

test("a poll that outlives its wait is cut too when only its body hangs", async () => {
  const { asked } = enter(({ signal }) => {
    const start = (body: ReadableStreamController<never>) =>
      signal.addEventListener("abort", () => body.error("cut"));
    return new Response(new ReadableStream({ start }));
  });
  await pass(10 * second);
  expect(asked.length).toBe(2);
});

test.each([{ wait: 0 }, { wait: Number.NaN }, { wait: 60.1 }])(
  "with the options %o, the first step throws a RangeError, and nothing is asked",
  async (wrong) => {
    const { batches, asked } = open(holds, wrong);
    await expect(batches.next()).rejects.toThrow(RangeError);
    expect(asked.length).toBe(0);
  },
);

/** Holds polls, but not longer than `limit` seconds. */
const proxy =
  (limit: () => number): Answers =>
  (asked) => {
    const wait = Number(asked.query.get("wait"));
    if (wait > limit()) return later(limit() * second, () => html(504));
    return later(wait * second, () => reply("1-0"));
  };

test("a proxy that ends held polls after 5 s gets polls that it tolerates, and longer ones again once it does", async () => {
  let limit = 5;
  const { asked, states } = enter(proxy(() => limit));
  await pass(60 * second);
  const failures = states.filter(({ name }) => name === "waiting").length;
  expect(failures).toBeLessThan(6);
  expect(Number(asked.at(-1)?.query.get("wait"))).toBeLessThanOrEqual(5);
  expect(states.at(-1)).toEqual({ name: "live" });
  await pass(600 * second);
  expect(states.filter(({ name }) => name === "waiting").length - failures).toBeLessThan(5);
  limit = 60;
  await pass(3600 * second);
  expect(asked.at(-1)?.query.get("wait")).toBe("25");
});

test.each([
  ["cuts every held poll after 0.3 s", () => later(300, () => html(504))],
  ["refuses every held poll at once", () => html(504)],
  ["answers every held poll at once, with nothing", () => reply("1-0")],
])("a proxy that %s gets a poll a second, and a message arrives within a second", async (_, cut) => {
  let cursor = "1-0";
  const { asked, states, texts } = enter(({ query }) => {
    if (query.get("wait") !== "0") return cut();
    return reply(cursor, cursor === "1-0" ? [] : [message("2-0")]);
  });
  await pass(20 * second);
  const before = asked.length;
  await pass(60 * second);
  expect(asked.length - before).toBe(60);
  expect(states.at(-1)).toEqual({ name: "live" });
  cursor = "2-0";
  await pass(second);
  expect(texts()).toEqual(["text of 2-0"]);
});

test("a proxy that drops held polls silently after 10 s gets shorter polls, too", async () => {
  const { asked, states } = enter((poll) => {
    const wait = Number(poll.query.get("wait"));
    return wait > 10 ? never(poll) : later(wait * second, () => reply("1-0"));
  });
  await pass(180 * second);
  expect(Number(asked.at(-1)?.query.get("wait"))).toBeLessThanOrEqual(10);
  expect(states.at(-1)).toEqual({ name: "live" });
});

test.each<[string, () => Response, string]>([
  ["superseded", () => reply("1-0", [], { superseded: true }), "superseded"],
  ["401", () => refused(401, "no_session"), "no_session"],
  ["403 not_you", () => refused(403, "not_you"), "not_you"],
  ["403 of another feed", () => refused(403, "forbidden"), "refused"],
  ["400 bad_cursor", () => refused(400, "bad_cursor"), "refused"],
])("polling ends with a reason: %s", async (_, answer, reason) => {
  const { asked, states, batches, done } = enter(answer);
  await done;
  await pass(60 * second);
  expect(states.at(-1)).toMatchObject({ name: "stopped", reason });
  expect([asked.length, batches.length, vi.getTimerCount()]).toEqual([1, 0, 0]);
});
