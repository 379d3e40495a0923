/** The timing of retries: fake timers and a fake fetch. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { retryAfter } from "../../src/client/backoff.js";
import { longPoll, type State } from "../../src/client/index.js";
import { type Answers, enter, holds, message, never, refused, reply } from "./fake-room.js";

const second = 1000;
let stop: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(Date.UTC(2030, 0, 1));
  vi.spyOn(Math, "random").mockReturnValue(1);
  stop = new AbortController();
});

afterEach(() => {
  stop.abort();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const start = (answers: Answers, options = {}) => enter(answers, { signal: stop.signal, ...options });
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const away: Answers = () => Promise.reject(new TypeError("fetch failed"));

/** Collects the lengths of the pauses in ms. */
function pauses() {
  const told: number[] = [];
  const onState = (state: State) => {
    if (state.name === "waiting") told.push(state.until - Date.now());
  };
  return { told, onState };
}

describe("the backoff", () => {
  test("doubles up to 30 s", async () => {
    const { told, onState } = pauses();
    start(away, { onState });
    await pass(120 * second);
    expect(told).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((s) => s * second));
  });

  test("is drawn at random from zero to its limit, but is at least 250 ms", async () => {
    vi.spyOn(Math, "random").mockReturnValueOnce(0).mockReturnValueOnce(0.5).mockReturnValueOnce(0.25);
    const { told, onState } = pauses();
    start(away, { onState });
    await pass(2 * second);
    expect(told.slice(0, 3)).toEqual([250, 1000, 1000]);
  });

  test("restarts after a success", async () => {
    const { told, onState } = pauses();
    start((poll, n) => (n === 4 || n === 5 ? reply(`${n}-0`, [message(`${n}-0`)]) : away(poll, n)), {
      onState,
    });
    await pass(8 * second);
    expect(told.slice(0, 4)).toEqual([1, 2, 4, 1].map((s) => s * second));
  });

  test("does not restart after a probe while held polls are refused", async () => {
    const { told, onState } = pauses();
    const full: Answers = (poll) =>
      poll.query.get("wait") === "0" ? reply("1-0") : refused(503, "too_many_waiters");
    start(full, { onState });
    await pass(14 * second);
    expect(told.slice(0, 4)).toEqual([1, 2, 4, 8].map((s) => s * second));
  });

  test("reports its reason", async () => {
    const { states } = start((_, n) => (n === 1 ? refused(503, "draining") : away(_, n)));
    await pass(2 * second);
    expect(states.filter(({ name }) => name === "waiting")).toMatchObject([
      { code: "draining", message: "said: draining" },
      { code: "unreachable", message: "TypeError: fetch failed" },
    ]);
  });

  test("is added to Retry-After, so that clients do not return together", async () => {
    const { told, onState } = pauses();
    start(() => refused(503, "too_many_waiters", { "retry-after": "7" }), { onState });
    await pass(0);
    expect(told).toEqual([8 * second]);
  });

  test("is not added to a draining server's retry", async () => {
    const { told, onState } = pauses();
    const draining = () =>
      new Promise<Response>((r) => setTimeout(() => r(reply("1-0", [], { retry: 1234 })), 3000));
    const { asked } = start((poll, n) => (n === 1 ? reply("1-0") : n === 2 ? draining() : never(poll)), {
      onState,
    });
    await pass(3 * second);
    expect(told).toEqual([1234]);
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
    const { asked } = start(holds);
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
    const { asked } = start(hung, { timeoutSlack: 3 });
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
