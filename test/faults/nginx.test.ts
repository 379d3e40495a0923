/** Behind a real nginx: with its defaults, with the recommended configuration, with a short timeout, and without a server. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { longPoll, type State } from "../../src/client/index.js";
import { awaited } from "../http/listen.js";
import { until } from "../wire/chat.js";
import { cookieAt, HOST, login, Person, texts } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { DEFAULTS, KEEP_ALIVE, type Nginx, startNginx } from "./nginx.js";

let server: Server;
let nginx: Nginx;
async function start(location: string, ...flags: string[]): Promise<void> {
  server = await startServer(...flags);
  nginx = await startNginx(server.port, location);
}
afterEach(async () => {
  vi.restoreAllMocks();
  await nginx.stop();
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});

describe.each([
  ["its defaults", DEFAULTS],
  ["the recommended configuration", KEEP_ALIVE],
])("behind nginx with %s", (kind, location) => {
  test("users log in, post, poll and get replies", async () => {
    await start(location, "--trust-proxy");
    const [ann, bob] = [await Person.login(nginx.url, "ann"), await Person.login(nginx.url, "b b")];
    expect((await ann.ask("")).headers.location).toBe("chatroom/ann/");
    expect((await ann.ask("chatroom/ann")).headers.location).toBe("./ann/");
    expect((await ann.ask("chatroom/ann/")).status).toBe(200);
    let { cursor } = await bob.batch("since=now&wait=0");
    for (let n = 0; n < 20; n++) {
      const poll = bob.batch(`since=${cursor}&wait=60&client=c`);
      await ann.post(`${n} 你好`);
      const batch = await poll;
      expect(texts(batch)).toEqual([`${n} 你好`]);
      ({ cursor } = batch);
    }
    expect(texts(await ann.batch("since=0&wait=0"))).toHaveLength(20);
    expect((await ann.batch("since=now&wait=0.1")).messages).toEqual([]);
    await ann.ask("chatroom/ann/");
    const plain = ann.plain();
    await bob.post("to old pages");
    expect(await plain).toBe("to old pages");
  });

  test("a poll that is aborted frees its slot", async () => {
    await start(location, "--max-waiters", "1");
    const ann = await Person.login(nginx.url, "ann");
    for (let n = 0; n < 20; n++) {
      const gone = new AbortController();
      const poll = ann.hold("since=now&wait=60", { signal: gone.signal });
      await ann.full();
      gone.abort();
      await expect(poll).rejects.toThrow();
    }
    while ((await ann.poll("since=now&wait=0.01")).status !== 200);
  });

  test("a post of another site is a 403; an old browser needs the forwarded host", async () => {
    await start(location, "--trust-proxy");
    const ann = await Person.login(nginx.url, "ann");
    const say = async (headers: Record<string, string>) => (await ann.say("x", headers)).status;
    expect(await say({ "Sec-Fetch-Site": "same-origin", Origin: `http://${HOST}` })).toBe(200);
    expect(await say({ "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await say({ Origin: "http://evil.example" })).toBe(403);
    expect(await say({ Origin: `http://${HOST}` })).toBe(kind === "its defaults" ? 403 : 200);
    const { headers } = await login(nginx.url, "bob");
    expect(/; Secure$/.test(headers["set-cookie"]?.[0] ?? "")).toBe(kind !== "its defaults");
  });
});

test("behind nginx, the address of the caller is the last hop and not a forged one", async () => {
  await start(KEEP_ALIVE, "--trust-proxy", "--login-rate", "0.001");
  for (const [name, hops, status] of [
    ["a", "198.51.100.1", 303],
    ["b", "198.51.100.2", 429],
  ] as const)
    expect((await login(nginx.url, name, { "X-Forwarded-For": hops })).status).toBe(status);
});

/** Reads with the client until `count` texts are there. `live` resolves when it polls, and `codes` are its failures. */
function read(count: number, ann: Person) {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const codes = new Set<string>();
  const live = awaited();
  const onState = (state: State) => {
    if (state.name === "waiting") codes.add(state.code);
    if (state.name === "live") live.resolve();
    if (state.name === "stopped") throw new Error(state.message);
  };
  const headers = { cookie: cookieAt(nginx.url, ann) };
  const { batches } = longPoll({ base: nginx.url, user: "ann", headers, since: "0", onState });
  const run = async () => {
    const found: string[] = [];
    for await (const batch of batches) {
      expect(batch.gap).toBeUndefined();
      found.push(...texts(batch));
      if (found.length >= count) break;
    }
    return found;
  };
  return { codes, live: live.promise, all: run() };
}

test("a client behind a proxy with a short timeout gets every message", async () => {
  // Only polls have the short timeout, because a busy machine may need longer for a post.
  await start(`${KEEP_ALIVE} location /get_post/ { ${KEEP_ALIVE.replace("75s", "300ms")} }`);
  const ann = await Person.login(nginx.url, "ann");
  const { codes, live, all } = read(5, ann);
  await live;
  for (let n = 0; n < 5; n++) {
    await ann.post(`${n}`);
    // A poll that takes longer than the timeout is a 504.
    if (n < 4) expect((await ann.poll("since=now&wait=60")).status).toBe(504);
  }
  expect(await all).toEqual(["0", "1", "2", "3", "4"]);
  expect(codes).toContain("bad_answer");
});

test("a client behind a proxy continues from its cursor after a restart of the server", async () => {
  const data = await mkdtemp(join(tmpdir(), "holdline-"));
  await start(KEEP_ALIVE, "--data", data);
  const { port } = server;
  const ann = await Person.login(nginx.url, "ann");
  const { codes, live, all } = read(2, ann);
  await live;
  await ann.post("before");
  await server.stop();
  expect((await ann.poll("since=0&wait=0")).status).toBe(502);
  await until(() => codes.has("bad_answer"));
  server = await startServer("--data", data, "--port", `${port}`);
  await ann.post("after");
  expect(await all).toEqual(["before", "after"]);
  await rm(data, { recursive: true });
});
