/** The timing of retries: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { retryAfter } from "../../src/client/backoff.js";
import { longPoll } from "../../src/client/index.js";
import { type Answers, enter, holds, later, message, never, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second } from "./fake-time.js";

fakeTime(1);
const away: Answers = () => Promise.reject(new TypeError("fetch failed"));

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

  test("restarts after a success", async () => {
    const { pauses } = enter((poll, n) =>
      n === 4 || n === 5 ? reply(`${n}-0`, [message(`${n}-0`)]) : away(poll, n),
    );
    await pass(8 * second);
    expect(pauses.slice(0, 4)).toEqual([1, 2, 4, 1].map((s) => s * second));
  });

  test("does not restart after a probe while held polls are refused", async () => {
    const full: Answers = (poll) =>
      poll.query.get("wait") === "0" ? reply("1-0") : refused(503, "too_many_waiters");
    const { pauses } = enter(full);
    await pass(14 * second);
    expect(pauses.slice(0, 4)).toEqual([1, 2, 4, 8].map((s) => s * second));
  });

  test("reports its reason", async () => {
    const { states } = enter((_, n) => (n === 1 ? refused(503, "draining") : away(_, n)));
    await pass(2 * second);
    expect(states.filter(({ name }) => name === "waiting")).toMatchObject([
      { code: "draining", message: "said: draining" },
      { code: "unreachable", message: "TypeError: fetch failed" },
    ]);
  });

  test("is added to Retry-After, so that clients do not return together", async () => {
    const { pauses } = enter(() => refused(503, "too_many_waiters", { "retry-after": "7" }));
    await pass(0);
    expect(pauses).toEqual([8 * second]);
  });

  test("is not added to a draining server's retry", async () => {
    const draining = () => later(3 * second, () => reply("1-0", [], { retry: 1234 }));
    const { asked, pauses } = enter((poll, n) =>
      n === 1 ? reply("1-0") : n === 2 ? draining() : never(poll),
    );
    await pass(3 * second);
    expect(pauses).toEqual([1234]);
    await pass(1234);
    expect(asked.length).toBe(3);
    expect(asked[2]?.query.get("wait")).toBe("0");
  });
});

test.each([
  ["3", 3000],
  [" 3 ", 3000],
  ["0", 0],
  ["-3", 0],
  ["1.5", 0],
  ["soon", 0],
  ["", 0],
  [null, 0],
  ["99999999999999999999999", 300_000],
  ["Tue, 01 Jan 2030 00:00:10 GMT", 10_000],
  ["Mon, 31 Dec 2029 23:59:59 GMT", 0],
  ["Fri, 01 Jan 2100 00:00:00 GMT", 300_000],
  ["Tue, 99 Foo 2030 GMT", 0],
  ["in 2099", 0],
])("Retry-After: %s means %d ms", (header, ms) => {
  expect(retryAfter(header)).toBe(ms);
});

describe("a poll that outlives its wait", () => {
  test("is cut after the timeout slack and repeated at once from the same cursor", async () => {
    const { asked } = enter(holds);
    await pass(35 * second - 1);
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([false, false]);
    await pass(1);
    expect(asked.map(({ signal }) => signal.aborted).slice(0, 2)).toEqual([false, true]);
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
])("the options %o throw a RangeError", (wrong) => {
  expect(() => longPoll({ base: "/", user: "ann", ...wrong })).toThrow(RangeError);
});
