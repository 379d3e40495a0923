/** The request head of a held poll: `serve` frees it, and a host's own server keeps it. */
import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { roomPerTest, until } from "./chat.js";
import { FORM } from "./person.js";
import { get, hear } from "./raw.js";

const start = roomPerTest();
const QUERY = `since=now&wait=60&unknown=${"x".repeat(1_000)}`;

/** Holds a poll and passes its request to `check`. Then checks that the poll and its connection work. */
async function hold(
  { ann, server, chat }: Awaited<ReturnType<typeof start>>,
  [query, options]: readonly [string, { readonly method?: string; readonly body?: string }],
  check: (req: IncomingMessage | undefined) => void,
): Promise<void> {
  let last: IncomingMessage | undefined;
  server.prependListener("request", (req: IncomingMessage) => {
    last = req;
  });
  await ann.end();
  const poll = ann.poll(query, { ...options, headers: { ...FORM, "User-Agent": "browser" } });
  await until(() => chat.waiting === 1);
  check(last);
  await ann.post("hello");
  expect((await poll).body).toContain("hello");
  expect((await ann.poll("since=0&wait=0")).body).toContain("hello");
}

test.each([
  ["by GET", [QUERY, {}]],
  ["by POST", [QUERY, { method: "POST", body: "a=b" }]],
  ["without a cursor", ["", {}]],
] as const)("a held poll %s keeps no request head", async (_, poll) => {
  await hold(await start({ serve: {} }), poll, (req) => {
    expect(req).toMatchObject({ headers: {}, rawHeaders: [] });
  });
});

test("a held poll keeps its head in a host's own server, because the host can log it", async () => {
  await hold(await start(), [QUERY, {}], (req) => {
    expect(req?.headers["user-agent"]).toBe("browser");
    expect(req?.url).toContain("since=now&wait=60");
  });
});

test("a head with too many fields is 431, and closes the connection behind a pending reply", async () => {
  const { ann, port } = await start({ serve: {} });
  await ann.end();
  const fields = (count: number) => Array.from({ length: count - 2 }, (_, n) => `X-${n}: x`);
  const health = (count: number) => get("/healthz", ...fields(count), "Connection: close");
  expect((await hear(port, health(63))).statuses).toEqual([200]);
  for (const count of [64, 65, 96, 200]) expect((await hear(port, health(count))).statuses).toEqual([431]);
  const poll = get("/get_post/ann?since=now&wait=60", `Cookie: ${ann.cookie}`);
  expect((await hear(port, poll + health(100))).statuses).toEqual([]);
});
