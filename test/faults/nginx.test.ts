/** Behind a real nginx: as it comes, with connections kept to the server, too impatient, and with a server that is away. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { longPoll, type State } from "../../src/client/index.js";
import { ask, cookieAt, HOST, Person, texts } from "../wire/person.js";
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

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

describe.each([
  ["its defaults", DEFAULTS],
  ["connections kept", KEEP_ALIVE],
])("nginx with %s", (kind, location) => {
  test("lets people log in, read and write, poll and be answered", async () => {
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

  test("passes on that a poll was aborted: its place is free", async () => {
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

  test("tells browsers of other sites from our own, old ones only when it says what host was asked for", async () => {
    await start(location, "--trust-proxy");
    const ann = await Person.login(nginx.url, "ann");
    const say = async (headers: Record<string, string>) => (await ann.say("x", headers)).status;
    expect(await say({ "Sec-Fetch-Site": "same-origin", Origin: `http://${HOST}` })).toBe(200);
    expect(await say({ "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await say({ Origin: "http://evil.example" })).toBe(403);
    expect(await say({ Origin: `http://${HOST}` })).toBe(kind === "its defaults" ? 403 : 200);
    const login = await ask(`${nginx.url}/login`, { method: "POST", headers: FORM, body: "name=bob" });
    const secure = /; Secure$/.test(login.headers["set-cookie"]?.[0] ?? "");
    expect(secure).toBe(kind !== "its defaults");
  });
});

test("behind nginx the caller's address is the last hop, whatever the caller says", async () => {
  await start(KEEP_ALIVE, "--trust-proxy", "--login-rate", "0.001");
  const login = async (name: string, hops: string) =>
    (
      await ask(`${nginx.url}/login`, {
        method: "POST",
        headers: { ...FORM, "X-Forwarded-For": hops },
        body: `name=${name}`,
      })
    ).status;
  expect(await login("a", "198.51.100.1")).toBe(303);
  expect(await login("b", "198.51.100.2")).toBe(429);
});

/** Reads with the real client until there are so many; what it went through is in `codes`. */
async function read(
  count: number,
  cookie: string,
  codes: Set<string>,
  started: () => void,
): Promise<string[]> {
  const seen: string[] = [];
  const onState = (state: State) => {
    if (state.name === "waiting") codes.add(state.code);
    if (state.name === "live") started();
    if (state.name === "stopped") throw new Error(state.message);
  };
  const options = { base: nginx.url, user: "ann", headers: { cookie }, since: "0", onState };
  for await (const { messages, gap } of longPoll(options).batches) {
    expect(gap).toBeUndefined();
    seen.push(...messages.filter(({ kind }) => kind === undefined).map(({ text }) => text));
    if (seen.length >= count) return seen;
  }
  return seen;
}

test("a proxy that gives up on polls costs the client time, and no message", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  // Only on polls: a busy machine may take longer over a post.
  await start(`${KEEP_ALIVE} location /get_post/ { ${KEEP_ALIVE.replace("75s", "300ms")} }`);
  const ann = await Person.login(nginx.url, "ann");
  const codes = new Set<string>();
  let live = () => {};
  const started = new Promise<void>((resolve) => {
    live = resolve;
  });
  const reading = read(5, cookieAt(nginx.url, ann), codes, () => live());
  await started;
  for (let n = 0; n < 5; n++) {
    await ann.post(`${n}`);
    // Time enough for a poll to be given up: it answers 504.
    if (n < 4) expect((await ann.poll("since=now&wait=60")).status).toBe(504);
  }
  expect(await reading).toEqual(["0", "1", "2", "3", "4"]);
  expect(codes).toContain("bad_answer");
});

test("a server that is away is a 502, and when it is back the client reads on where it was", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const data = await mkdtemp(join(tmpdir(), "holdline-"));
  await start(KEEP_ALIVE, "--data", data);
  const { port } = server;
  const ann = await Person.login(nginx.url, "ann");
  const codes = new Set<string>();
  let live = () => {};
  const started = new Promise<void>((resolve) => {
    live = resolve;
  });
  const reading = read(2, cookieAt(nginx.url, ann), codes, () => live());
  await started;
  await ann.post("before");
  await server.stop();
  expect((await ann.poll("since=0&wait=0")).status).toBe(502);
  while (!codes.has("bad_answer")) await new Promise((resolve) => setImmediate(resolve));
  server = await startServer("--data", data, "--port", `${port}`);
  await ann.post("after");
  expect(await reading).toEqual(["before", "after"]);
  await rm(data, { recursive: true });
});
