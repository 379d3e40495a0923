/** The poll, alone: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { type Answers, enter, fakeTime, holds, message, never, refused, reply } from "./fake-room.js";

const second = 1000;
const stop = fakeTime();
const start = (answers: Answers, options = {}) => enter(answers, { signal: stop.signal(), ...options });
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the cursor", () => {
  test("of each answer is the next poll's since, beginning with now", async () => {
    const answers = [reply("1-0"), reply("2-0", [message("2-0")]), reply("3-5", [message("3-5")])];
    const { asked, texts } = start((poll) => answers.shift() ?? never(poll));
    await pass(0);
    expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "1-0", "2-0", "3-5"]);
    expect(texts()).toEqual(["text of 2-0", "text of 3-5"]);
  });

  test("is asked for at once by the first poll, and then held for with 25 s by the same client", async () => {
    const { asked, states } = start(holds);
    await pass(0);
    expect(asked.map(({ query }) => query.get("wait"))).toEqual(["0", "25"]);
    expect(asked[0]?.query.get("client")).toMatch(/^[0-9a-f]{32}$/);
    expect(asked[1]?.query.get("client")).toBe(asked[0]?.query.get("client"));
    expect(states).toEqual([{ name: "connecting" }, { name: "live" }]);
  });

  test("does not move before the consumer comes for more", async () => {
    const fetch = vi.fn(async () => reply("1-0", [message("1-0")]));
    const { batches } = longPoll({ base: "http://chat.test", user: "ann", fetch, signal: stop.signal() });
    expect(fetch).toHaveBeenCalledTimes(0);
    await batches.next();
    await pass(60 * second);
    expect(fetch).toHaveBeenCalledTimes(1);
    await batches.return();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("stays where it is when a poll fails", async () => {
    const { asked } = start((poll, n) =>
      n === 1 ? reply("7-0") : n === 2 ? refused(500, "internal") : never(poll),
    );
    await pass(second);
    expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "7-0", "7-0"]);
    expect(asked[2]?.query.get("wait")).toBe("0");
  });
});

describe("no message is handed out twice", () => {
  test("when the server sends one again, in one answer or the next", async () => {
    const [a, b] = [message("9-0"), message("10-0")];
    const answers = [reply("9-0", [a, a]), reply("10-0", [a, b]), reply("10-0", [b])];
    const { texts } = start((poll) => answers.shift() ?? never(poll), { since: "0" });
    await pass(10 * second);
    expect(texts()).toEqual(["text of 9-0", "text of 10-0"]);
  });

  test("when one behind the cursor comes along: ids are two integers", async () => {
    const behind = [message("99-9"), message("100-2"), message("100-9")];
    const { texts } = start(
      (poll, n) => (n === 1 ? reply("100-10", [...behind, message("100-10")]) : never(poll)),
      {
        since: "100-9",
      },
    );
    await pass(0);
    expect(texts()).toEqual(["text of 100-10"]);
  });

  test("when the history lost its end and the rest comes after a gap", async () => {
    const [a, b, c] = [message("1-0"), message("2-0"), message("3-0")];
    const answers = [reply("3-0", [a, b, c]), reply("2-0", [a, b], { gap: true })];
    const { batches, texts } = start((poll) => answers.shift() ?? never(poll), { since: "0" });
    await pass(0);
    expect(texts()).toEqual(["text of 1-0", "text of 2-0", "text of 3-0"]);
    expect(batches[1]).toEqual({ cursor: "2-0", present: 1, messages: [], gap: true });
  });

  test("but one of another history is new, though its id is behind the cursor", async () => {
    const answers = [reply("500-0", [message("500-0")]), reply("40-0", [message("40-0")], { gap: true })];
    const { batches, texts, asked } = start((poll) => answers.shift() ?? never(poll));
    await pass(second);
    expect(texts()).toEqual(["text of 500-0", "text of 40-0"]);
    expect(batches.map((batch) => batch.gap)).toEqual([undefined, true]);
    expect(asked.at(-1)?.query.get("since")).toBe("40-0");
  });

  test("by two servers with two histories, that say a gap in turn", async () => {
    const { texts, asked } = start(({ query }) =>
      query.get("since") === "5-0"
        ? reply("8-0", [message("7-0"), message("8-0")], { gap: true })
        : reply("5-0", [message("5-0")], { gap: true }),
    );
    await pass(60 * second);
    expect(texts()).toEqual(["text of 5-0", "text of 7-0", "text of 8-0"]);
    expect(asked.length).toBeLessThan(12);
  });

  test("after a cursor that the server will not have: then everything kept is asked for, after a gap", async () => {
    const { batches, asked } = start((poll, n) =>
      n === 1 ? refused(400, "bad_cursor") : n < 4 ? reply(`${n}-0`, [message(`${n}-0`)]) : never(poll),
    );
    await pass(5 * second);
    expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "0", "2-0", "3-0"]);
    expect(batches).toEqual([
      { cursor: "2-0", present: 1, messages: [message("2-0")], gap: true },
      { cursor: "3-0", present: 1, messages: [message("3-0")] },
    ]);
  });
});

test("a gap is told once, however often the server tells it", async () => {
  const { batches } = start(() => reply("1-0", [message("1-0")], { gap: true }));
  await pass(60 * second);
  expect(batches.length).toBeGreaterThan(3);
  expect(batches.filter(({ gap }) => gap).length).toBe(1);
});

describe("a poll is over, with a reason", () => {
  const reasons: [string, () => Response, string][] = [
    ["superseded", () => reply("1-0", [], { superseded: true }), "superseded"],
    ["401", () => refused(401, "no_session"), "no_session"],
    ["403 not_you", () => refused(403, "not_you"), "not_you"],
    ["403 foreign_origin", () => refused(403, "foreign_origin"), "refused"],
    ["404 in the protocol's words", () => refused(404, "not_found"), "refused"],
    ["400", () => refused(400, "bad_request"), "refused"],
  ];
  test.each(reasons)("%s", async (_, answer, reason) => {
    const { asked, states, batches, done } = start(answer);
    await done;
    await pass(60 * second);
    expect(states.at(-1)).toMatchObject({ name: "stopped", reason });
    expect([asked.length, batches.length, vi.getTimerCount()]).toEqual([1, 0, 0]);
  });

  test("a cursor that is refused even as 0", async () => {
    const { asked, states, done } = start(() => refused(400, "bad_cursor"));
    await pass(second);
    await done;
    expect(asked.length).toBe(2);
    expect(states.at(-1)).toEqual({ name: "stopped", reason: "refused", message: "said: bad_cursor" });
  });
});
