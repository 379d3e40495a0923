/** Notices: coming and going, told when it matters and not for a reload. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Notices } from "../../src/room/notices.js";
import { MemoryStore } from "../../src/store/memory.js";
import { type Draft, type Message, StoreUnavailable } from "../../src/store/store.js";

const LONG = 60_000;
let told: string[];
let present: number;
let notices: Notices;

beforeEach(async () => {
  vi.useFakeTimers();
  told = [];
  present = 3;
  const store = new MemoryStore(100);
  await store.open(({ kind, user }) => told.push(`${user} ${kind}`));
  notices = new Notices(store, () => present);
});

afterEach(() => {
  vi.useRealTimers();
});

test("coming and going are told", () => {
  notices.arrived("ann");
  notices.departed("ann");
  expect(told).toEqual(["ann join", "ann leave"]);
});

test("a good-bye is told a little later, once", () => {
  notices.left("ann", "good-bye");
  expect(told).toEqual([]);
  vi.advanceTimersByTime(LONG);
  expect(told).toEqual(["ann leave"]);
});

test("who says good-bye and is back in a moment has only reloaded a page", () => {
  notices.left("ann", "good-bye");
  vi.advanceTimersByTime(1000);
  notices.arrived("ann");
  vi.advanceTimersByTime(LONG);
  expect(told).toEqual([]);
});

test("who is back later has gone and come", () => {
  notices.left("ann", "good-bye");
  vi.advanceTimersByTime(LONG);
  notices.arrived("ann");
  expect(told).toEqual(["ann leave", "ann join"]);
});

test("one person's return takes no other's good-bye back", () => {
  notices.left("ann", "good-bye");
  notices.left("__proto__", "good-bye");
  notices.arrived("bob");
  vi.advanceTimersByTime(LONG);
  expect(told).toEqual(["bob join", "ann leave", "__proto__ leave"]);
});

test("who goes for good after a good-bye has gone once", () => {
  notices.left("ann", "good-bye");
  notices.departed("ann");
  vi.advanceTimersByTime(LONG);
  expect(told).toEqual(["ann leave"]);
});

test("a return that others have not noticed is not told", () => {
  notices.returned("ann");
  notices.left("bob", "good-bye");
  notices.returned("bob");
  vi.advanceTimersByTime(LONG);
  expect(told).toEqual([]);
});

test("in a large room nobody's coming and going is told", () => {
  present = 50;
  notices.arrived("ann");
  present = 51;
  notices.arrived("bob");
  notices.departed("bob");
  notices.left("cyd", "good-bye");
  vi.advanceTimersByTime(LONG);
  expect(told).toEqual(["ann join"]);
});

test("after a stop nothing is told and no timer is left", () => {
  notices.left("ann", "good-bye");
  notices.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("a notice that cannot be kept troubles nobody", async () => {
  const tried: Draft[] = [];
  class Full extends MemoryStore {
    override append(draft: Draft): Promise<Message> {
      tried.push(draft);
      return Promise.reject(new StoreUnavailable(new Error("disk full")));
    }
  }
  const unheard = new Notices(new Full(1), () => 1);
  unheard.arrived("ann");
  await vi.runAllTimersAsync();
  // An unhandled rejection would fail this run.
  expect(tried).toEqual([{ kind: "join", user: "ann", text: "" }]);
});
