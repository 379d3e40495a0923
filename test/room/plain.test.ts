/** The poll without a cursor: the server remembers, and forgets nothing that may not have arrived. */
import { once } from "node:events";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { PlainReaders } from "../../src/room/plain.js";
import type { Id } from "../../src/store/id.js";

const arrived = () => false;
const lost = () => true;

test("who never opened the room here reads on from where the process began", () => {
  expect(new PlainReaders("100-0").cursor("ann")).toBe("100-0");
});

test("who opens the room reads on from what it showed", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  expect(readers.cursor("ann")).toBe("105-0");
  expect(readers.cursor("bob")).toBe("100-0");
});

test("an answer that was not lost moves the cursor, and only for its reader", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  readers.open("bob", "105-0");
  readers.handed("ann", "106-0", arrived, new Socket());
  expect([readers.cursor("ann"), readers.cursor("bob")]).toEqual(["106-0", "105-0"]);
});

test("an answer that proves lost by the next poll is given again", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  let broken = false;
  readers.handed("ann", "106-0", () => broken, new Socket());
  broken = true;
  expect(readers.cursor("ann")).toBe("105-0");
  readers.handed("ann", "106-0", arrived, new Socket());
  expect(readers.cursor("ann")).toBe("106-0");
});

test("an answer is judged once: what is found out later takes nothing back", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  let broken = true;
  readers.handed("ann", "106-0", () => broken, new Socket());
  expect(readers.cursor("ann")).toBe("105-0");
  broken = false;
  expect(readers.cursor("ann")).toBe("105-0");
  readers.handed("ann", "106-0", () => broken, new Socket());
  expect(readers.cursor("ann")).toBe("106-0");
  broken = true;
  expect(readers.cursor("ann")).toBe("106-0");
});

test("who opens the room anew has seen everything, whatever became of earlier answers", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  readers.handed("ann", "106-0", lost, new Socket());
  readers.open("ann", "110-0");
  expect(readers.cursor("ann")).toBe("110-0");
});

test("who was forgotten begins anew, and an answer on its way then moves nothing", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  readers.close("ann");
  readers.handed("ann", "106-0", arrived, new Socket());
  expect(readers.cursor("ann")).toBe("100-0");
});

test("a name like __proto__ is a name", () => {
  const readers = new PlainReaders("100-0");
  readers.open("__proto__", "105-0");
  expect([readers.cursor("__proto__"), readers.cursor("constructor")]).toEqual(["105-0", "100-0"]);
});

test("an answer for a connection that has ended moves nothing", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  readers.handed("ann", "106-0", arrived, new Socket().destroy());
  expect(readers.cursor("ann")).toBe("105-0");
});

describe("with neighbours", () => {
  /** Readers, and what they have told: where somebody is, and instead of what. */
  function readersAndTold(): [PlainReaders, (readonly [Id, Id | undefined])[]] {
    const told: (readonly [Id, Id | undefined])[] = [];
    const neighbours = {
      remember: (_: string, cursor: Id, instead?: Id) => told.push([cursor, instead]),
      recall: () => Promise.resolve(told.at(-1)?.[0]),
    };
    return [new PlainReaders("100-0", neighbours), told];
  }
  const reset = (connection: Socket) =>
    new Promise((closed) =>
      connection
        .on("error", () => {})
        .on("close", closed)
        .destroy(new Error("reset")),
    );

  test("an answer that proves lost is taken back as soon as its connection has ended", async () => {
    const [readers, told] = readersAndTold();
    readers.open("ann", "105-0");
    const connection = new Socket();
    readers.handed("ann", "106-0", () => connection.errored !== null, connection);
    expect(told.at(-1)).toEqual(["106-0", "105-0"]);
    await reset(connection);
    expect(told.at(-1)).toEqual(["105-0", "106-0"]);
  });

  test("an answer stays where it is when its connection ends as it should", async () => {
    const [readers, told] = readersAndTold();
    readers.open("ann", "105-0");
    const connection = new Socket();
    readers.handed("ann", "106-0", () => connection.errored !== null, connection);
    await once(connection.destroy(), "close");
    expect(told.at(-1)).toEqual(["106-0", "105-0"]);
  });

  test("only the last of many answers over a connection is taken back, and nothing is left on it", async () => {
    const [readers, told] = readersAndTold();
    const connection = new Socket();
    const listeners = connection.listenerCount("close");
    for (const user of ["ann", "bob", "cyd"]) {
      readers.open(user, "105-0");
      for (let n = 106; n < 120; n++) {
        readers.handed(user, `${n}-0`, () => connection.errored !== null, connection);
        await readers.recall(user);
      }
    }
    expect(connection.listenerCount("close")).toBe(listeners + 1);
    const before = told.length;
    await reset(connection);
    expect(told.slice(before)).toEqual([["118-0", "119-0"]]);
  });
});
