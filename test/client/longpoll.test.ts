/** The poll of the chat: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { enter, holds, message, never, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second, stopSignal } from "./fake-time.js";

fakeTime();

describe("the cursor", () => {
  test("of each reply is the since of the next poll, and the first since is now", async () => {
    const answers = [reply("1-0"), reply("2-0", [message("2-0")]), reply("3-5", [message("3-5")])];
    const { asked, texts } = enter((poll) => answers.shift() ?? never(poll));
    await pass(0);
    expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "1-0", "2-0", "3-5"]);
    expect(texts()).toEqual(["text of 2-0", "text of 3-5"]);
  });

  test("comes from a probe, and the next poll of the same client is held for 25 s", async () => {
    const { asked, states } = enter(holds);
    await pass(0);
    expect(asked.map(({ query }) => query.get("wait"))).toEqual(["0", "25"]);
    expect(asked[0]?.query.get("client")).toMatch(/^[0-9a-f]{32}$/);
    expect(asked[1]?.query.get("client")).toBe(asked[0]?.query.get("client"));
    expect(states).toEqual([{ name: "connecting" }, { name: "live" }]);
  });

  test("does not move before the consumer asks for the next batch", async () => {
    const fetch = vi.fn(async () => reply("1-0", [message("1-0")]));
    const { batches } = longPoll({ base: "http://chat.test", user: "ann", fetch, signal: stopSignal() });
    expect(fetch).toHaveBeenCalledTimes(0);
    await batches.next();
    await pass(60 * second);
    expect(fetch).toHaveBeenCalledTimes(1);
    await batches.return();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("does not move when a poll fails", async () => {
    const { asked } = enter((poll, n) =>
      n === 1 ? reply("7-0") : n === 2 ? refused(500, "internal") : never(poll),
    );
    await pass(second);
    expect(asked.map(({ query }) => query.get("since"))).toEqual(["now", "7-0", "7-0"]);
    expect(asked[2]?.query.get("wait")).toBe("0");
  });
});

describe("each message is returned once", () => {
  test("when the server repeats it, in one reply or the next", async () => {
    const [a, b] = [message("9-0"), message("10-0")];
    const answers = [reply("9-0", [a, a]), reply("10-0", [a, b]), reply("10-0", [b])];
    const { texts } = enter((poll) => answers.shift() ?? never(poll), { since: "0" });
    await pass(10 * second);
    expect(texts()).toEqual(["text of 9-0", "text of 10-0"]);
  });

  test("and an older one is dropped, with ids compared as two integers", async () => {
    const behind = [message("99-9"), message("100-2"), message("100-9")];
    const { texts } = enter(
      (poll, n) => (n === 1 ? reply("100-10", [...behind, message("100-10")]) : never(poll)),
      {
        since: "100-9",
      },
    );
    await pass(0);
    expect(texts()).toEqual(["text of 100-10"]);
  });

  test("when the history lost its end and the rest follows a gap", async () => {
    const [a, b, c] = [message("1-0"), message("2-0"), message("3-0")];
    const answers = [reply("3-0", [a, b, c]), reply("2-0", [a, b], { gap: true })];
    const { batches, texts } = enter((poll) => answers.shift() ?? never(poll), { since: "0" });
    await pass(0);
    expect(texts()).toEqual(["text of 1-0", "text of 2-0", "text of 3-0"]);
    expect(batches[1]).toEqual({ cursor: "2-0", present: 1, messages: [], gap: true });
  });

  test("and after a gap, one of another history is new although its id is older", async () => {
    const answers = [reply("500-0", [message("500-0")]), reply("40-0", [message("40-0")], { gap: true })];
    const { batches, texts, asked } = enter((poll) => answers.shift() ?? never(poll));
    await pass(second);
    expect(texts()).toEqual(["text of 500-0", "text of 40-0"]);
    expect(batches.map((batch) => batch.gap)).toEqual([undefined, true]);
    expect(asked.at(-1)?.query.get("since")).toBe("40-0");
  });

  test("when two servers with two histories report gaps alternately", async () => {
    const { texts, asked } = enter(({ query }) =>
      query.get("since") === "5-0"
        ? reply("8-0", [message("7-0"), message("8-0")], { gap: true })
        : reply("5-0", [message("5-0")], { gap: true }),
    );
    await pass(60 * second);
    expect(texts()).toEqual(["text of 5-0", "text of 7-0", "text of 8-0"]);
    expect(asked.length).toBeLessThan(12);
  });

  test("when the server refuses the cursor: the client asks for everything that is kept, after a gap", async () => {
    const { batches, asked } = enter((poll, n) =>
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

test("a gap that the server reports again and again is returned once", async () => {
  const { batches } = enter(() => reply("1-0", [message("1-0")], { gap: true }));
  await pass(60 * second);
  expect(batches.length).toBeGreaterThan(3);
  expect(batches.filter(({ gap }) => gap).length).toBe(1);
});

describe("polling ends with a reason", () => {
  const reasons: [string, () => Response, string][] = [
    ["superseded", () => reply("1-0", [], { superseded: true }), "superseded"],
    ["401", () => refused(401, "no_session"), "no_session"],
    ["403 not_you", () => refused(403, "not_you"), "not_you"],
    ["403 foreign_origin", () => refused(403, "foreign_origin"), "refused"],
    ["403 of another feed", () => refused(403, "forbidden"), "refused"],
    ["404 in the protocol's format", () => refused(404, "not_found"), "refused"],
    ["400", () => refused(400, "bad_request"), "refused"],
  ];
  test.each(reasons)("%s", async (_, answer, reason) => {
    const { asked, states, batches, done } = enter(answer);
    await done;
    await pass(60 * second);
    expect(states.at(-1)).toMatchObject({ name: "stopped", reason });
    expect([asked.length, batches.length, vi.getTimerCount()]).toEqual([1, 0, 0]);
  });

  test("when the server refuses even the cursor 0", async () => {
    const { asked, states, done } = enter(() => refused(400, "bad_cursor"));
    await pass(second);
    await done;
    expect(asked.length).toBe(2);
    expect(states.at(-1)).toEqual({ name: "stopped", reason: "refused", message: "said: bad_cursor" });
  });
});
