/** The poll of the chat: fake timers and a fake fetch. */
import { describe, expect, test, vi } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { away, enter, message, never, refused, reply } from "./fake-room.js";
import { fakeTime, pass, second, stopSignal } from "./fake-time.js";

fakeTime();

describe("the cursor", () => {
  test("of each reply is the since of the next poll; the first is now, in a probe, and the next polls are held", async () => {
    const answers = [reply("1-0"), reply("2-0", [message("2-0")]), reply("3-5", [message("3-5")])];
    const { asked, texts, states } = enter((poll) => answers.shift() ?? never(poll));
    await pass(second);
    const all = (name: string) => asked.map(({ query }) => query.get(name));
    expect(all("since")).toEqual(["now", "1-0", "2-0", "3-5"]);
    expect(all("wait")).toEqual(["0", "25", "25", "25"]);
    expect(new Set(all("client"))).toEqual(new Set([expect.stringMatching(/^[0-9a-f]{32}$/)]));
    expect(texts()).toEqual(["text of 2-0", "text of 3-5"]);
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

describe("polling ends with a reason", () => {
  const reasons: [string, () => Response, string][] = [
    ["superseded", () => reply("1-0", [], { superseded: true }), "superseded"],
    ["401", () => refused(401, "no_session"), "no_session"],
    ["403 not_you", () => refused(403, "not_you"), "not_you"],
    ["403 foreign_origin", () => refused(403, "foreign_origin"), "refused"],
    ["403 of another feed", () => refused(403, "forbidden"), "refused"],
    ["404 in the protocol's format", () => refused(404, "not_found"), "refused"],
    ["400", () => refused(400, "bad_request"), "refused"],
    ["400 bad_cursor", () => refused(400, "bad_cursor"), "refused"],
  ];
  test.each(reasons)("%s", async (_, answer, reason) => {
    const { asked, states, batches, done } = enter(answer);
    await done;
    await pass(60 * second);
    expect(states.at(-1)).toMatchObject({ name: "stopped", reason });
    expect([asked.length, batches.length, vi.getTimerCount()]).toEqual([1, 0, 0]);
  });
});
