/** `follow`: a feed of any events. Its loop is that of the chat's client, which has more tests. */
import { expect, expectTypeOf, test } from "vitest";
import { type FeedBatch, follow, type PollOptions, type State } from "../../src/client/index.js";
import { fakeTime, pass, second, stopSignal } from "./fake.js";
import { never } from "./replies.js";

fakeTime();

/** Follows a feed that gives these replies and then holds the poll. */
async function read(replies: object[], options: PollOptions = {}, url: string | URL = "http://feed.test/") {
  const asked: { readonly url: URL; readonly headers: Headers }[] = [];
  const batches: FeedBatch[] = [];
  const states: State[] = [];
  const fetch: typeof globalThis.fetch = async (url, init) => {
    asked.push({ url: new URL(String(url)), headers: new Headers(init?.headers) });
    const body = replies[asked.length - 1];
    return body ? Response.json(body) : never({ signal: init?.signal ?? stopSignal() });
  };
  const onState = (state: State) => states.push(state);
  void (async () => {
    const all = follow(url, { since: "0", fetch, onState, signal: stopSignal(), ...options });
    for await (const batch of all) batches.push(batch);
  })();
  await pass(5 * second);
  return { asked, batches, states };
}

test("a follower receives every event as it was pushed, in order, is told of a gap, and asks again without a list", async () => {
  const replies = [
    { cursor: "3-0", events: [{ progress: 0.5 }, "text", 7] },
    { cursor: "6-0", events: [null, [], { id: "not-ours", gap: true }] },
    { cursor: "9-0", events: [9], gap: true },
  ];
  const { batches, states } = await read([{ cursor: "1-0" }, { cursor: "1-0", events: {} }, ...replies]);
  expect(batches).toEqual(replies);
  expect(states[1]).toMatchObject({ name: "waiting", code: "bad_answer" });
});

test("a URL keeps its own query and loses its fragment, and headers are sent", async () => {
  const headers = { authorization: "Bearer x" };
  const { asked } = await read([], { headers }, new URL("http://feed.test/progress?job=7&x=%20#part"));
  expect(asked[0]?.url.href).toMatch(/progress\?job=7&x=%20&since=0&wait=0&client=[\d-]{7,43}$/);
  expect(Object.fromEntries(asked[0]?.headers ?? [])).toEqual({ ...headers, accept: "application/json" });
});

test("the types are exact: events are unknown until they are checked", () => {
  expectTypeOf(follow).returns.toEqualTypeOf<AsyncGenerator<FeedBatch, void>>();
  expectTypeOf<FeedBatch["events"]>().toEqualTypeOf<readonly unknown[]>();
  expectTypeOf<FeedBatch["gap"]>().toEqualTypeOf<true | undefined>();
});
