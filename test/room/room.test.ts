/** The room: a message's way from a post to everybody who waits, and every way a poll ends. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Room } from "../../src/room/room.js";
import { MemoryStore } from "../../src/store/memory.js";
import { type Draft, type Message, StoreUnavailable } from "../../src/store/store.js";
import { type Asked, GRACE, open, pollOf, SECOND, sessionOf, texts, told } from "./asking.js";

let room: Room;
const poll = (asked: Asked) => pollOf(room, asked);
const pass = (ms: number) => vi.advanceTimersByTime(ms);

beforeEach(async () => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  room = await open();
});

afterEach(async () => {
  await room.close();
  vi.useRealTimers();
});

describe("a poll", () => {
  test("is held until a message comes, and is answered once, with that message", async () => {
    room.view(sessionOf("ann"));
    const { answers } = poll({ user: "ann" });
    expect(room.waiting).toBe(1);
    const message = await room.post("bob", "hello");
    pass(0);
    expect(answers).toEqual([{ cursor: message.id, present: 1, messages: [message] }]);
    pass(60 * SECOND);
    expect([answers.length, room.waiting]).toEqual([1, 0]);
  });

  test("with a wait of 0 is answered at once, whether there is something or not", async () => {
    room.view(sessionOf("ann"));
    const nothing = poll({ user: "ann", wait: 0 });
    expect(nothing.outcome).toBe("answered");
    expect(nothing.answers).toMatchObject([{ messages: [] }]);
    await room.post("bob", "hello");
    const { answers } = poll({ user: "ann", since: nothing.answers[0]?.cursor ?? "0", wait: 0 });
    expect(texts(answers[0])).toEqual(["hello"]);
  });

  test("whose wait ends gets a cursor that is good for the next poll", async () => {
    room.view(sessionOf("ann"));
    const first = poll({ user: "ann" });
    pass(10 * SECOND);
    expect(first.answers).toMatchObject([{ messages: [] }]);
    await room.post("bob", "between two polls");
    const second = poll({ user: "ann", since: first.answers[0]?.cursor ?? "0" });
    pass(0);
    expect(texts(second.answers[0])).toEqual(["between two polls"]);
  });

  test("that comes behind is answered without waiting for anybody", async () => {
    await room.post("bob", "hello");
    const { answers } = poll({ user: "ann", since: "0" });
    pass(0);
    expect(texts(answers[0])).toContain("hello");
  });

  test("whose client goes away is answered to nobody and leaves the map at once", async () => {
    room.view(sessionOf("ann"));
    const { waiter, answers } = poll({ user: "ann" });
    await room.post("bob", "hello");
    room.gone(waiter);
    room.gone(waiter);
    expect(room.waiting).toBe(0);
    pass(60 * SECOND);
    expect(answers).toEqual([]);
  });

  test("of a page ends that page's earlier poll, and no other", () => {
    room.view(sessionOf("ann"));
    const first = poll({ user: "ann", client: "page" });
    const bystanders = [
      poll({ user: "ann", client: "other" }),
      poll({ user: "bob", client: "page" }),
      poll({ user: "ann" }),
    ];
    const second = poll({ user: "ann", client: "page" });
    expect(first.answers).toMatchObject([{ messages: [], superseded: true }]);
    expect([...bystanders, second].flatMap(({ answers }) => answers)).toEqual([]);
    expect(room.waiting).toBe(4);
  });

  test("supersedes also when it does not wait itself", () => {
    const first = poll({ user: "ann", client: "page" });
    poll({ user: "ann", client: "page", wait: 0 });
    expect(first.answers).toMatchObject([{ superseded: true }]);
    expect(room.waiting).toBe(0);
  });

  test("in a full room is not held and not answered; who does not wait is still answered", async () => {
    room = await open({ maxWaiters: 2 });
    poll({ user: "ann", client: "page" });
    poll({ user: "bob" });
    const third = poll({ user: "cyd" });
    expect([third.outcome, third.answers, room.waiting]).toEqual(["full", [], 2]);
    expect(poll({ user: "cyd", wait: 0 }).answers).toHaveLength(1);
    expect(poll({ user: "ann", client: "page" }).outcome).toBe("held");
  });

  test("in a full room takes the oldest place of whoever holds far more than the caller", async () => {
    room = await open({ maxWaiters: 3 });
    const heavy = ["one", "two", "three"].map((client) => poll({ user: "bob", client }));
    expect(poll({ user: "ann" }).outcome).toBe("held");
    expect(heavy.map(({ answers }) => answers.length)).toEqual([1, 0, 0]);
    expect(poll({ user: "bob", client: "four" }).outcome).toBe("full");
    expect(room.waiting).toBe(3);
  });

  test("with a cursor of another history is told of the gap", async () => {
    await room.post("bob", "hello");
    for (const since of ["1-0", "99999999999999999999-0"] as const) {
      const { answers } = poll({ user: "ann", since });
      pass(0);
      expect(answers[0]?.gap).toBe(true);
      expect(texts(answers[0])).toContain("hello");
    }
  });

  test("of somebody who was away is not answered with the news of their own coming", () => {
    const { answers: first } = poll({ user: "ann", wait: 0 });
    pass(GRACE);
    const left = poll({ user: "bob", since: first[0]?.cursor ?? "0", wait: 0 }).answers[0];
    expect(texts(left)).toContain("ann leave");
    const again = poll({ user: "ann", since: left?.cursor ?? "0" });
    pass(SECOND);
    expect(again.answers).toEqual([]);
    expect(told(room)).toContain("ann join");
  });
});

describe("a post", () => {
  test("resolves once it is kept, and everybody sees one order", async () => {
    room.view(sessionOf("ann"));
    room.view(sessionOf("bob"));
    const polls = [poll({ user: "ann" }), poll({ user: "bob" })];
    await Promise.all(["one", "two", "three"].map((text) => room.post("cyd", text)));
    pass(0);
    for (const { answers } of polls) expect(texts(answers[0])).toEqual(["one", "two", "three"]);
  });

  test("with the key of an earlier one of that user is the earlier one, and wakes nobody", async () => {
    const first = await room.post("bob", "hello", "key");
    room.view(sessionOf("ann"));
    const { answers } = poll({ user: "ann" });
    expect(await room.post("bob", "hello again", "key")).toEqual(first);
    pass(SECOND);
    expect(answers).toEqual([]);
    expect((await room.post("ann", "mine", "key")).id).not.toBe(first.id);
    expect((await room.post("bob", "hello", "__proto__")).id).not.toBe(first.id);
  });

  test("that the store cannot keep is rejected and seen by nobody", async () => {
    class Full extends MemoryStore {
      override append(draft: Draft): Promise<Message> {
        return draft.kind ? super.append(draft) : Promise.reject(new StoreUnavailable("disk full"));
      }
    }
    room = await open({ store: new Full(10) });
    room.view(sessionOf("ann"));
    const { answers } = poll({ user: "ann" });
    await expect(room.post("bob", "hello")).rejects.toBeInstanceOf(StoreUnavailable);
    pass(SECOND);
    expect([answers, told(room)]).toEqual([[], expect.not.arrayContaining(["hello"])]);
  });

  test("while the clock goes back still comes after the one before", async () => {
    const first = await room.post("bob", "one");
    vi.setSystemTime(Date.now() - 3_600_000);
    await room.post("bob", "two");
    const { answers } = poll({ user: "ann", since: first.id, wait: 0 });
    expect(texts(answers[0])?.[0]).toBe("two");
    expect(answers[0]).not.toHaveProperty("gap");
  });
});
