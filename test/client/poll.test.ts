/** The poll of the chat: its cursor, its back-off, and its end. Fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import {
  type Answers,
  away,
  enter,
  fakeTime,
  holds,
  html,
  later,
  message,
  never,
  open,
  pass,
  refused,
  reply,
  second,
} from "./fake.js";

fakeTime(1);

describe("the cursor", () => {
  test("of each reply is the since of the next poll, also after a failure; the first is now, in a probe", async () => {
    const failure = refused(500, "internal");
    const answers = [reply("1-0"), reply("2-0", [message("2-0")]), failure, reply("3-5", [message("3-5")])];
    const { asked, texts, states } = enter((poll) => answers.shift() ?? never(poll));
    await pass(2 * second);
    const all = (name: string) => asked.map(({ query }) => query.get(name));
    expect(all("since")).toEqual(["now", "1-0", "2-0", "2-0", "3-5"]);
    expect(all("wait")).toEqual(["0", "25", "25", "0", "12"]);
    expect(new Set(all("client"))).toEqual(new Set([expect.stringMatching(/^[0-9a-f]{32}$/)]));
    expect(texts()).toEqual(["text of 2-0", "text of 3-5"]);
    expect(states.map(({ name }) => name)).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
  });

  test("does not move before the consumer asks for the next batch", async () => {
    const { asked, batches } = open(() => reply("1-0", [message("1-0")]));
    expect(asked.length).toBe(0);
    await batches.next();
    await pass(60 * second);
    expect(asked.length).toBe(1);
    await batches.return();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("each message is returned once", () => {
  const [a, b, c] = [message("9-0"), message("10-0"), message("11-0")];
  const old = message("3-0");
  test.each<[string, string, Response[], string[], (true | undefined)[]]>([
    [
      "when the server repeats it",
      "0",
      [reply("9-0", [a, a]), reply("10-0", [a, b]), reply("10-0", [b])],
      ["9-0", "10-0"],
      [],
    ],
    [
      "and older ones are dropped, with ids compared as two integers",
      "10-9",
      [reply("10-10", [a, message("10-2"), message("10-9"), message("10-10")])],
      ["10-10"],
      [],
    ],
    [
      "when the history lost its end and the rest follows a gap",
      "0",
      [reply("11-0", [a, b, c]), reply("10-0", [a, b], { gap: true })],
      ["9-0", "10-0", "11-0"],
      [undefined, true],
    ],
    [
      "and after a gap, an older id is new if it is of another history",
      "now",
      [reply("11-0", [c]), reply("3-0", [old], { gap: true })],
      ["11-0", "3-0"],
      [undefined, true],
    ],
  ])("%s", async (_, since, answers, ids, gaps) => {
    const { batches, texts, asked } = enter((poll) => answers.shift()?.clone() ?? never(poll), { since });
    await pass(10 * second);
    expect(texts()).toEqual(ids.map((id) => `text of ${id}`));
    expect(batches.map(({ gap }) => gap).slice(0, gaps.length)).toEqual(gaps);
    expect(asked.at(-1)?.query.get("since")).toBe(batches.at(-1)?.cursor);
  });

  test("when two servers with two histories report gaps alternately, at a low rate", async () => {
    const { texts, asked } = enter(({ query }) =>
      query.get("since") === "5-0"
        ? reply("8-0", [message("7-0"), message("8-0")], { gap: true })
        : reply("5-0", [message("5-0")], { gap: true }),
    );
    await pass(60 * second);
    expect(texts()).toEqual(["text of 5-0", "text of 7-0", "text of 8-0"]);
    expect(asked.length).toBeLessThan(20);
  });
});

test("the first reply after a long outage has a gap, and the next poll is held at once", async () => {
  let down = true;
  const { asked, states } = enter((poll) => {
    if (down) return away();
    return poll.query.get("since") === "9-0" ? never(poll) : reply("9-0", [message("9-0")], { gap: true });
  });
  await pass(300 * second);
  down = false;
  while (states.at(-1)?.name !== "live") await pass(second);
  await pass(second);
  expect(asked.at(-1)?.query.get("since")).toBe("9-0");
});

test("a gap that the server reports again and again is returned once", async () => {
  const { batches } = enter(() => reply("1-0", [message("1-0")], { gap: true }));
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

describe("the back-off", () => {
  test("doubles up to 30 s", async () => {
    const { pauses } = enter(away);
    await pass(120 * second);
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((s) => s * second));
  });

  test("is drawn at random from zero to its limit, but is at least 250 ms", async () => {
    vi.spyOn(Math, "random").mockReturnValueOnce(0).mockReturnValueOnce(0.5).mockReturnValueOnce(0.25);
    const { pauses } = enter(away);
    await pass(2 * second);
    expect(pauses.slice(0, 3)).toEqual([250, 1000, 1000]);
  });

  test.each<[string, Answers, number[]]>([
    [
      "a poll that brought a message",
      (_, n) => (n === 4 || n === 5 ? reply(`${n}-0`, [message(`${n}-0`)]) : away()),
      [1, 2, 4, 1],
    ],
    [
      "an answered probe, although held polls are refused",
      (poll) => (poll.query.get("wait") === "0" ? reply("1-0") : refused(503, "too_many_waiters")),
      [1, 1, 1, 1],
    ],
  ])("restarts after %s", async (_, answers, expected) => {
    const { pauses } = enter(answers);
    await pass(15 * second);
    expect(pauses.slice(0, 4)).toEqual(expected.map((s) => s * second));
  });

  test.each([
    ["7", 7],
    ["-3", 0],
    ["soon", 0],
    ["99999999999999999999999", 300],
    ["Tue, 01 Jan 2030 00:00:07 GMT", 7],
    ["Mon, 31 Dec 2029 23:59:59 GMT", 0],
  ])("is added to a Retry-After of %j, so that clients do not return together", async (header, seconds) => {
    const { pauses } = enter(() => refused(503, "too_many_waiters", { "retry-after": header }));
    await pass(0);
    expect(pauses).toEqual([(seconds + 1) * second]);
  });

  test("is added to a Retry-After as a date, which is compared with the server's clock", async () => {
    const headers = { date: "Wed, 01 Jan 2020 00:00:00 GMT", "retry-after": "Wed, 01 Jan 2020 00:00:09 GMT" };
    const { pauses } = enter(() => refused(503, "too_many_waiters", headers));
    await pass(0);
    expect(pauses).toEqual([10 * second]);
  });

  test("is not added to a draining server's retry, after which the polls are as long as before", async () => {
    const draining = () => later(second / 2, () => reply("1-0", [], { retry: 1234 }));
    const { asked, pauses } = enter((poll, n) => (n === 2 ? draining() : holds(poll)));
    await pass(second / 2);
    expect(pauses).toEqual([1234]);
    await pass(1234);
    expect(asked.slice(2).map(({ query }) => query.get("wait"))).toEqual(["0", "25"]);
  });
});

describe("a poll that outlives its wait", () => {
  test("is cut after the timeout slack and repeated at once from the same cursor", async () => {
    const { asked } = enter(holds);
    await pass(35 * second - 1);
    expect(asked.at(-1)?.signal.aborted).toBe(false);
    await pass(1);
    expect(asked[1]?.signal.aborted).toBe(true);
    expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "1-0", "1-0", "1-0"]);
  });

  test("is cut too when only its body hangs", async () => {
    const hung: Answers = ({ signal }) => {
      const body = new ReadableStream({
        start: (c) => signal.addEventListener("abort", () => c.error("cut")),
      });
      return new Response(body);
    };
    const { asked } = enter(hung, { timeoutSlack: 3 });
    await pass(3 * second);
    expect(asked.length).toBe(2);
  });
});

test.each([{ wait: 0 }, { wait: Number.NaN }, { timeoutSlack: 60.1 }])(
  "the options %o throw a RangeError before anything is asked",
  (wrong) => {
    expect(() => longPoll({ base: "/", user: "ann", ...wrong })).toThrow(RangeError);
  },
);

describe("a proxy that ends held polls after 5 s", () => {
  /** Holds polls, but not longer than `limit` seconds. */
  const proxy =
    (limit: () => number): Answers =>
    (asked) => {
      const wait = Number(asked.query.get("wait"));
      if (wait > limit()) return later(limit() * second, () => html(504));
      return later(wait * second, () => reply("1-0"));
    };

  test("gets polls that it tolerates, and longer ones again once it does", async () => {
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
  ])("and one that %s gets a poll a second, and a message arrives within a second", async (_, cut) => {
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

  test("gets shorter polls too if it drops them silently", async () => {
    const { asked, states } = enter((poll) => {
      const wait = Number(poll.query.get("wait"));
      return wait > 10 ? never(poll) : later(wait * second, () => reply("1-0"));
    });
    await pass(180 * second);
    expect(Number(asked.at(-1)?.query.get("wait"))).toBeLessThanOrEqual(10);
    expect(states.at(-1)).toEqual({ name: "live" });
  });
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
