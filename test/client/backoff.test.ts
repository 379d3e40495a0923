/** The timing of retries: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { type Answers, away, enter, holds, later, message, never, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second } from "./fake-time.js";

fakeTime(1);

describe("the backoff", () => {
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

  const restarts: [string, Answers, number[]][] = [
    [
      "restarts after a held poll brought a message",
      (_, n) => (n === 4 || n === 5 ? reply(`${n}-0`, [message(`${n}-0`)]) : away()),
      [1, 2, 4, 1],
    ],
    [
      "restarts after an answered probe, although held polls are refused",
      (poll) => (poll.query.get("wait") === "0" ? reply("1-0") : refused(503, "too_many_waiters")),
      [1, 1, 1, 1],
    ],
    [
      "restarts after an answered probe, although a proxy cuts held polls sooner than in half a second",
      (poll) =>
        poll.query.get("wait") === "0" ? reply("1-0") : later(300, () => new Response("", { status: 504 })),
      [1, 1, 1, 1],
    ],
  ];
  test.each(restarts)("%s", async (_, answers, expected) => {
    const { pauses } = enter(answers);
    await pass(15 * second);
    expect(pauses.slice(0, 4)).toEqual(expected.map((s) => s * second));
  });

  test.each([
    ["7", 7],
    [" 7 ", 7],
    ["0", 0],
    ["-3", 0],
    ["soon", 0],
    ["99999999999999999999999", 300],
    ["Tue, 01 Jan 2030 00:00:07 GMT", 7],
    ["Tuesday, 01-Jan-30 00:00:07 GMT", 7],
    ["Mon, 31 Dec 2029 23:59:59 GMT", 0],
    ["Wed, 01 Jan 2031 00:00:00 GMT", 300],
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

  test("is not added to a draining server's retry", async () => {
    const draining = () => later(3 * second, () => reply("1-0", [], { retry: 1234 }));
    const { asked, pauses } = enter((poll, n) =>
      n === 1 ? reply("1-0") : n === 2 ? draining() : never(poll),
    );
    await pass(3 * second);
    expect(pauses).toEqual([1234]);
    await pass(1234);
    expect(asked[2]?.query.get("wait")).toBe("0");
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

test.each([
  { wait: 0 },
  { wait: 61 },
  { wait: Number.NaN },
  { timeoutSlack: 0.001 },
  { timeoutSlack: Number.POSITIVE_INFINITY },
])("the options %o throw a RangeError before anything is asked", (wrong) => {
  expect(() => longPoll({ base: "/", user: "ann", ...wrong })).toThrow(RangeError);
});
