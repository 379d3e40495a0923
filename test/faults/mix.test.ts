/**
 * Requests that use much memory: the server closes the connections that use most, and serves all others. MIX=12000 tries
 * each kind of request alone, too, with so many connections, until the memory no longer grows, and prints its peak.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { until } from "../wire/chat.js";
import { Person, texts } from "../wire/person.js";
import { dial, get, post } from "../wire/raw.js";
import { type Server, startServer } from "../wire/server.js";

const MIX = Number(process.env.MIX ?? 0);
vi.setConfig({ testTimeout: MIX ? 600_000 : 120_000 });

let server: Server;
let ann: Person;
let sockets: Socket[];
let closed: number;
beforeEach(async () => {
  server = await startServer();
  ann = await Person.login(server.url, "ann");
  [sockets, closed] = [[], 0];
});
/** Returns the largest resident memory so far, in MB. */
const peak = () =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) / 1024;
afterEach(async () => {
  try {
    const bob = await Person.login(server.url, "bob");
    const { cursor } = await ann.batch("since=now&wait=0");
    await bob.post("all is well");
    expect(texts(await ann.batch(`since=${cursor}&wait=0`))).toEqual(["all is well"]);
    expect(peak()).toBeLessThan(300);
  } finally {
    // Also clients that read nothing are closed at the stop.
    expect(await server.stop()).toBe(0);
    for (const socket of sockets) socket.destroy();
  }
});

/** Opens a connection and writes. A paused one reads nothing. */
async function send(bytes: string, paused = false): Promise<Socket> {
  const line = dial(server.port);
  sockets.push(line.socket);
  if (paused) line.socket.pause();
  void line.closed.then(() => closed++);
  await Promise.race([new Promise((resolve) => line.socket.write(bytes, resolve)), line.closed]);
  return line.socket;
}

const by = () => `Cookie: ${ann.cookie}`;
const large = (bytes: number) => `X: ${"h".repeat(bytes)}`;
const held = (n: number, ...fields: string[]) =>
  get(`/get_post/ann?since=now&wait=60&client=${n}`, by(), ...fields);
const unfinished = (bytes: number) => post("/put_post/ann", "b".repeat(bytes + 1), by()).slice(0, -1);
const numbered = (count: number, text: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i));

/** What each kind of connection sends. */
const KINDS: Readonly<Record<string, (n: number) => string>> = {
  "silent connections": () => "",
  "polls with 8 KB of fields": (n) =>
    held(n, ...numbered(60, (i) => `name-${i}-${n}: ${"v".repeat(80)}`), large(1_000)),
  "polls with bodies that nobody reads": (n) => held(n, "Content-Length: 99999") + "b".repeat(99_998),
  "polls by POST": (n) =>
    post(`/get_post/ann?since=now&wait=60&client=${n}`, `a=${"b".repeat(65_000)}`, by()),
  "polls before 16 polls": (n) => held(n) + held(n, large(7_000)).repeat(16),
  "polls before 16 bodies": (n) => held(n) + post("/leave/ann?client=x", "b".repeat(15_000), by()).repeat(16),
  "unfinished bodies": () => unfinished(65_535),
  "unfinished bodies in chunks of a byte": () =>
    post("/put_post/ann", "", by(), "Transfer-Encoding: chunked").replace(/Content-Length.*\r\n/, "") +
    "1\r\nx\r\n".repeat(255),
  "unfinished heads of 8 KB": () => get("/healthz", by(), large(7_800)).slice(0, -2),
  // Fields of seven bytes cost the server the most memory per byte.
  "unfinished heads of many fields": () => get("/healthz", ...numbered(1_100, () => "aa:bb")).slice(0, -2),
  "pages that are not read": () => get("/chatroom/ann/", by()).repeat(16),
  "batches that are not read": (n) =>
    numbered(16, (i) => get(`/get_post/ann?since=${n}-${i}&wait=0`, by())).join(""),
};
const UNREAD = /not read$/;
/** The buffers of the kernel for a reply that is not read use memory, too. */
const MAX_UNREAD = 1_000;
/** The memory no longer grows if it did not for so long. That is longer than the time-out of a head. */
const STILL_S = 20;

test.each([
  ["connections of all kinds", Object.keys(KINDS)] as const,
  ...Object.keys(MIX ? KINDS : {}).map((kind) => [kind, [kind]] as const),
])("%s use less than 300 MB", async (name, kinds) => {
  // The texts that make the largest pages and batches.
  for (let n = 0; n < 1_000; n++) await ann.post(n % 2 ? "http://a ".repeat(220) : "字".repeat(1_990));
  let isOver = false;
  const attack = async (n: number): Promise<void> => {
    const kind = kinds[n % kinds.length] ?? "";
    const socket = await send(KINDS[kind]?.(n) ?? "", UNREAD.test(kind));
    socket.once("close", () => setTimeout(() => isOver || attack(n), 3_000).unref());
  };
  const most = kinds.every((kind) => UNREAD.test(kind)) ? MAX_UNREAD : Infinity;
  for (let n = 0; n < Math.min(MIX || 1_000, most); n += 50)
    await Promise.race([Promise.all(Array.from({ length: 50 }, (_, i) => attack(n + i))), delay(100)]);
  for (let [last, still] = [0, MIX ? 0 : STILL_S]; still < STILL_S; last = peak()) {
    await delay(1_000);
    still = peak() > last ? 0 : still + 1;
  }
  isOver = true;
  if (MIX) console.log(`${name}: peak ${Math.round(peak())} MB, ${closed} were closed`);
});

const who = () => get("/who", by(), large(7_000));
test.each<[string, (n: number) => string, count: number]>([
  ["unfinished bodies", (n) => unfinished(n === 0 ? 100 : 65_000), 600],
  ["requests behind a held poll", (n) => held(n) + who().repeat(n === 0 ? 1 : 16), 300],
])("connections with %s are closed, the largest first", async (_, bytes, count) => {
  const small = await send(bytes(0));
  for (let n = 1; n < count; n++) await send(bytes(n));
  await until(() => closed > 50);
  expect(small.destroyed).toBe(false);
});

test("a held poll keeps neither its head nor its body", async () => {
  const kinds = ["polls with 8 KB of fields", "polls by POST", "polls with bodies that nobody reads"];
  for (let n = 0; n < 1_500; n++) await send(KINDS[kinds[n % 3] ?? ""]?.(n) ?? "");
  expect(closed).toBe(0);
  expect(peak()).toBeLessThan(200);
});

test.each(["unfinished bodies", "polls before 16 bodies"])(
  "3,000 %s that are read in one turn of the event loop use less than 300 MB",
  async (kind) => {
    for (let n = 0; n < 3_000; n++) await send("");
    process.kill(server.pid, "SIGSTOP");
    const bytes = (n: number) => KINDS[kind]?.(n).slice(0, 65_000) ?? "";
    const written = sockets.map((socket, n) => new Promise((resolve) => socket.write(bytes(n), resolve)));
    await Promise.all(written);
    process.kill(server.pid, "SIGCONT");
    await until(() => closed > 2_500);
  },
);
