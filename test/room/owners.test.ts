/** Whose a name is. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Names, type Session } from "../../src/room/names.js";
import { nameKey } from "../../src/room/text.js";

const GRACE = 30_000;
let here: Set<string>;
let names: Names;
let forgotten: string[];

const register = (maxNames = 1000) =>
  new Names({
    maxNames,
    grace: GRACE,
    isPresent: (user) => here.has(user),
    forgotten: (user) => forgotten.push(user),
  });

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  here = new Set();
  forgotten = [];
  names = register();
});

afterEach(() => {
  vi.useRealTimers();
});

let logins = 0;
const login = (name: string): Session => ({
  name,
  key: nameKey(name),
  id: `login ${++logins}`,
  since: Date.now(),
});
/** Claims a name; "yours" when that gives the very session. */
const claim = (session: Session) => {
  const given = names.claim(session);
  if (typeof given !== "string") expect(given).toMatchObject({ id: session.id });
  return typeof given === "string" ? given : "yours";
};
const pass = (ms: number) => vi.advanceTimersByTime(ms);
const restart = () => {
  names = register();
};

test("a login holds its name against others who would be the same", () => {
  const ann = login("Ann");
  expect(claim(ann)).toBe("yours");
  for (const other of ["Ann", "ANN", "Ａｎｎ"]) expect(names.claim(login(other)), other).toBe("taken");
  expect(names.has(ann)).toBe(true);
  expect(claim(login("anna"))).toBe("yours");
});

test("a name is held while its owner is present, by the name as the owner writes it", () => {
  names.claim(login("Ann"));
  here.add("Ann");
  pass(GRACE * 10);
  expect(names.claim(login("ann"))).toBe("taken");
});

test("a name whose owner is away and silent for the grace time may be taken, and the earlier session has ended", () => {
  const first = login("ann");
  names.claim(first);
  pass(GRACE);
  const second = login("ann");
  expect(claim(second)).toBe("yours");
  expect([names.has(first), names.has(second)]).toEqual([false, true]);
});

test("until somebody takes it the owner may be away as long as they like", () => {
  const ann = login("ann");
  names.claim(ann);
  pass(GRACE * 1000);
  expect(names.has(ann)).toBe(true);
});

test("a post holds the name on for the grace time; a good-bye gives it up", () => {
  const ann = login("ann");
  names.claim(ann);
  pass(GRACE);
  names.hold(ann);
  pass(GRACE - 1);
  expect(names.claim(login("ann"))).toBe("taken");
  names.release(ann);
  expect(claim(login("ann"))).toBe("yours");
});

test("a session that has ended neither holds, releases nor ends its successor's name", () => {
  const first = login("ann");
  names.claim(first);
  names.release(first);
  pass(1);
  const second = login("ann");
  names.claim(second);
  names.release(first);
  names.end(first);
  expect(names.claim(login("ann"))).toBe("taken");
  pass(GRACE - 1);
  names.hold(first);
  pass(1);
  expect(names.has(second)).toBe(true);
  expect(claim(login("ann"))).toBe("yours");
});

test("the same session may claim its name again", () => {
  const ann = login("ann");
  names.claim(ann);
  expect(claim(ann)).toBe("yours");
});

test("after a logout the name is free at once and the cookie is worth nothing", () => {
  const ann = login("ann");
  names.claim(ann);
  here.add("ann");
  names.end(ann);
  expect(names.has(ann)).toBe(false);
  const next = login("ANN");
  expect(claim(next)).toBe("yours");
  expect([names.has(next), names.has(ann)]).toEqual([true, false]);
});

test("after a restart the first to ask gets its name back, and of two the newer login", () => {
  const older = login("ann");
  pass(1000);
  const newer = login("Ann");
  restart();
  expect(names.has(older)).toBe(true);
  expect(names.has(newer)).toBe(true);
  expect(names.has(older)).toBe(false);
  expect(names.has(newer)).toBe(true);
});

test("a name taken up again after a restart is held as after a login", () => {
  const ann = login("ann");
  restart();
  names.has(ann);
  expect(names.claim(login("ann"))).toBe("taken");
});

test("when the clock goes back, an ended session does not come back to life over a later login", () => {
  const first = login("ann");
  names.claim(first);
  names.end(first);
  vi.setSystemTime(Date.now() - 3_600_000);
  const second = login("ann");
  expect(claim(second)).toBe("yours");
  expect(names.has(first)).toBe(false);
  expect(names.has(second)).toBe(true);
});

test("when the clock goes back, a name is held no longer than the grace time", () => {
  names.claim(login("ann"));
  vi.setSystemTime(Date.now() - 3_600_000);
  pass(GRACE);
  expect(claim(login("ann"))).toBe("yours");
});

test("when the register is full, a name that nobody holds makes room, and its owner is told of", () => {
  names = register(3);
  for (const name of ["ann", "bob", "cyd"]) names.claim(login(name));
  here.add("ann");
  pass(GRACE);
  expect(claim(login("dan"))).toBe("yours");
  expect(forgotten).toEqual(["bob"]);
  expect(names.owner("ann")).toBeDefined();
});

test("when all names there can be are held, nobody loses one, and who has one may come again", () => {
  names = register(2);
  const ann = login("ann");
  names.claim(ann);
  names.claim(login("bob"));
  const late = login("cyd");
  expect(names.claim(late)).toBe("full");
  expect(names.has(late)).toBe(false);
  expect(claim(ann)).toBe("yours");
  expect([names.has(ann), forgotten]).toEqual([true, []]);
});

test("the register can say since when somebody has a name", () => {
  expect(names.owner("ann")).toBeUndefined();
  const ann = login("Ann");
  names.claim(ann);
  expect(names.owner("ANN")).toEqual(ann);
  for (const name of ["__proto__", "constructor"]) expect(names.owner(name)).toBeUndefined();
});

test("two log-ins under one name from one form are one session", () => {
  const form = "0123456789abcdef";
  const [first, second] = [
    { ...login("Ann"), id: `${form}first` },
    { ...login("ann"), id: `${form}second` },
  ];
  expect(names.claim(first)).toEqual(first);
  pass(10);
  expect(names.claim({ ...second, since: Date.now() })).toEqual(first);
  names.end(first);
  expect(names.claim(second)).toMatchObject({ id: second.id });
  expect(names.has(first)).toBe(false);
});

test("a session takes the place of the one that it is said to replace, and of no other", () => {
  const [first, second, third] = [login("ann"), login("ann"), login("ann")];
  names.claim(first);
  expect(names.claim(second, "login 0")).toBe("taken");
  expect(names.claim(second, first.id)).toEqual(second);
  expect([names.has(first), names.has(second)]).toEqual([false, true]);
  expect(names.claim(third, first.id)).toBe("taken");
});

test("when the clock goes back, a new session is told since when it counts", () => {
  const first = login("ann");
  names.claim(first);
  names.end(first);
  vi.setSystemTime(Date.now() - 3_600_000);
  expect(names.claim(login("ann"))).toMatchObject({ since: first.since });
});
