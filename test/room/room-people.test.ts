/** The room: who comes and goes, what others are told of it, and the room's own end and beginning. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Session } from "../../src/room/names.js";
import type { Room } from "../../src/room/room.js";
import { nameKey } from "../../src/room/text.js";
import { MemoryStore } from "../../src/store/memory.js";
import { type Draft, type Kept, type Message, type Store, StoreUnavailable } from "../../src/store/store.js";
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

describe("who is here", () => {
  test("coming is told to others, not to who comes, who stays held", () => {
    room.view(sessionOf("ann"));
    const ann = poll({ user: "ann" });
    room.view(sessionOf("bob"));
    const bob = poll({ user: "bob" });
    pass(0);
    expect(texts(ann.answers[0])).toEqual(["bob join"]);
    expect(bob.answers).toEqual([]);
    expect([room.people.count, room.people.who()]).toEqual([2, ["ann", "bob"]]);
  });

  test("a second tab of somebody who is here is no news", () => {
    room.view(sessionOf("ann"));
    poll({ user: "ann", client: "one" });
    room.view(sessionOf("ann"));
    poll({ user: "ann", client: "two" });
    expect(told(room).filter((text) => text === "ann join")).toHaveLength(1);
  });

  test("a person whose polls come and go in time is here all the while, and is then away", () => {
    for (let n = 0; n < 5; n++) {
      poll({ user: "ann", wait: 10 * SECOND });
      pass(10 * SECOND + GRACE - 1);
    }
    expect(told(room)).not.toContain("ann leave");
    // A wait may end a little late.
    pass(50);
    expect(told(room)).toContain("ann leave");
    expect(room.people.who()).not.toContain("ann");
  });

  test("closing one of two tabs is no good-bye; closing the last is, a little later", () => {
    poll({ user: "ann", client: "one" });
    poll({ user: "ann", client: "two" });
    room.leave("ann", "one");
    expect([room.waiting, room.people.who()]).toEqual([1, ["ann"]]);
    room.leave("ann", "two");
    expect([room.waiting, room.people.who()]).toEqual([0, []]);
    pass(GRACE);
    expect(told(room).filter((text) => text === "ann leave")).toHaveLength(1);
  });

  test("a reload is not told", () => {
    room.view(sessionOf("ann"));
    poll({ user: "ann", client: "before" });
    room.leave("ann", "before");
    room.view(sessionOf("ann"));
    poll({ user: "ann", client: "after" });
    pass(SECOND * 9);
    expect(told(room).filter((text) => text.startsWith("ann "))).toEqual(["ann join"]);
  });

  test("a good-bye of somebody who is not here changes nothing", () => {
    room.leave("nobody");
    room.leave("nobody", "page");
    pass(GRACE);
    expect(told(room)).not.toContain("nobody leave");
  });

  test("a logout ends the polls, the presence and the name at once", () => {
    const session: Session = { name: "Ann", key: nameKey("Ann"), id: "one", since: Date.now() };
    room.people.names.claim(session);
    const { answers } = poll({ user: "Ann" });
    room.logout(session);
    expect([answers.length, room.waiting, room.people.who()]).toEqual([1, 0, []]);
    expect(told(room)).toContain("Ann leave");
    expect(room.people.names.claim({ ...session, id: "two" })).toMatchObject({ id: "two" });
  });
});

describe("a close", () => {
  test("answers every poll with its own cursor and a time to come back, and leaves no timer", async () => {
    room.view(sessionOf("ann"));
    const polls = [
      poll({ user: "ann" }),
      poll({ user: "ann", since: "0" }),
      poll({ user: "bob", client: "p" }),
    ];
    room.leave("cyd");
    await room.close();
    for (const { answers } of polls)
      expect(answers).toMatchObject([{ messages: [], retry: expect.any(Number) }]);
    expect([room.waiting, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test("answers a poll that comes later at once, gives the store nothing more and leaves no timer", async () => {
    const after: Draft[] = [];
    class Watched extends MemoryStore {
      override append(draft: Draft): Promise<Message> {
        if (room.draining) after.push(draft);
        return super.append(draft);
      }
    }
    room = await open({ store: new Watched(10) });
    await room.close();
    const { answers, outcome } = poll({ user: "somebody new" });
    expect(outcome).toBe("answered");
    expect(answers).toMatchObject([{ messages: [], retry: expect.any(Number) }]);
    expect([after, vi.getTimerCount()]).toEqual([[], 0]);
  });
});

describe("the store's history", () => {
  const kept: Kept = {
    floor: "5-0",
    messages: [
      { id: "6-0", user: "bob", text: "one", at: 6 },
      { id: "7-0", user: "bob", text: "two", at: 7 },
    ],
  };

  test("what was kept before the start is there, and its floor tells a gap", async () => {
    const store = new MemoryStore(10);
    vi.spyOn(store, "open").mockResolvedValue(kept);
    room = await open({ store });
    expect(texts(poll({ user: "bob", since: "6-0", wait: 0 }).answers[0])?.[0]).toBe("two");
    expect(poll({ user: "bob", since: "5-0", wait: 0 }).answers[0]).not.toHaveProperty("gap");
    expect(poll({ user: "bob", since: "4-0", wait: 0 }).answers[0]?.gap).toBe(true);
  });

  test("a message that another node keeps the moment the store is open is not lost", async () => {
    const store: Store = {
      writable: true,
      open: async (receive) => {
        queueMicrotask(() => receive({ id: "8-0", user: "bob", text: "three", at: 8 }));
        return kept;
      },
      append: () => Promise.reject(new StoreUnavailable("read only")),
      close: async () => undefined,
    };
    room = await open({ store });
    expect(room.newest(10).messages.map(({ text }) => text)).toEqual(["one", "two", "three"]);
  });

  test("a store that cannot be opened is the opener's trouble", async () => {
    const store = new MemoryStore(1);
    vi.spyOn(store, "open").mockRejectedValue(new Error("choose another folder"));
    await expect(open({ store })).rejects.toThrow("choose another folder");
  });

  test("the newest messages come with the cursor to read on from", async () => {
    for (const text of ["one", "two", "three"]) await room.post("bob", text);
    const { messages, cursor } = room.newest(2);
    expect(messages.map(({ text }) => text)).toEqual(["two", "three"]);
    await room.post("bob", "four");
    expect(texts(poll({ user: "bob", since: cursor, wait: 0 }).answers[0])?.[0]).toBe("four");
  });
});

test("a name that is taken again in another spelling leaves nothing of the old one behind", async () => {
  const start = room.newest(0).cursor;
  const first = { name: "ann", key: "ann", id: "1", since: 1 };
  expect(room.people.names.claim(first)).toBe("yours");
  const { id } = await room.post("ann", "x");
  room.open("ann");
  expect(room.plain.cursor("ann")).toBe(id);
  room.people.names.release(first);
  expect(room.people.names.claim({ name: "ANN", key: "ann", id: "2", since: 2 })).toBe("yours");
  // Forgotten: as for somebody who was never here.
  expect(room.plain.cursor("ann")).toBe(start);
});
