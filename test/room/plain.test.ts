/** The poll without a cursor: the server remembers, and forgets nothing that may not have arrived. */
import { expect, test } from "vitest";
import { PlainReaders } from "../../src/room/plain.js";

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
  readers.handed("ann", "106-0", arrived);
  expect([readers.cursor("ann"), readers.cursor("bob")]).toEqual(["106-0", "105-0"]);
});

test("an answer that proves lost by the next poll is given again", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  let broken = false;
  readers.handed("ann", "106-0", () => broken);
  broken = true;
  expect(readers.cursor("ann")).toBe("105-0");
  readers.handed("ann", "106-0", arrived);
  expect(readers.cursor("ann")).toBe("106-0");
});

test("an answer is judged once: what is found out later takes nothing back", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  let broken = true;
  readers.handed("ann", "106-0", () => broken);
  expect(readers.cursor("ann")).toBe("105-0");
  broken = false;
  expect(readers.cursor("ann")).toBe("105-0");
  readers.handed("ann", "106-0", () => broken);
  expect(readers.cursor("ann")).toBe("106-0");
  broken = true;
  expect(readers.cursor("ann")).toBe("106-0");
});

test("who opens the room anew has seen everything, whatever became of earlier answers", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  readers.handed("ann", "106-0", lost);
  readers.open("ann", "110-0");
  expect(readers.cursor("ann")).toBe("110-0");
});

test("who was forgotten begins anew, and an answer on its way then moves nothing", () => {
  const readers = new PlainReaders("100-0");
  readers.open("ann", "105-0");
  readers.close("ann");
  readers.handed("ann", "106-0", arrived);
  expect(readers.cursor("ann")).toBe("100-0");
});

test("a name like __proto__ is a name", () => {
  const readers = new PlainReaders("100-0");
  readers.open("__proto__", "105-0");
  expect([readers.cursor("__proto__"), readers.cursor("constructor")]).toEqual(["105-0", "100-0"]);
});
