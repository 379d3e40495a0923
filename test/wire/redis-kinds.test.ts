/** Two processes on the kinds of server that other tests do not use: Redis over TLS, and Valkey. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePort } from "../conformance/port.js";
import { login, Person, texts } from "./person.js";
import { type Redis, startRedis, startRedisOf } from "./redis.js";
import { runWith, type Server, startServerWith } from "./server.js";

const folder = mkdtempSync(join(tmpdir(), "holdline-tls-"));
const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
beforeAll(() => {
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const pair = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", "-x509", "-days", "1", ...pair, ...subject], { stdio: "ignore" });
});
afterAll(() => rmSync(folder, { recursive: true }));

let redis: Redis | undefined;
const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop("SIGKILL")));
  await redis?.stop();
});

/** Starts a Redis with a certificate. Returns its `rediss://` URL. */
async function startTls(): Promise<string> {
  const port = await freePort();
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no"];
  redis = await startRedis("--tls-port", `${port}`, ...files);
  return `rediss://localhost:${port}`;
}

async function startValkey(): Promise<string> {
  redis = await startRedisOf(process.env.VALKEY ?? "valkey-server");
  return redis.url;
}

async function startIPv6(): Promise<string> {
  redis = await startRedis("--bind", "127.0.0.1", "::1");
  return `redis://[::1]:${redis.port}`;
}

test.each([
  ["Redis at an IPv6 address", startIPv6],
  ["Redis over TLS", startTls],
  ["Valkey", startValkey],
])("two processes on %s share messages, keys, names and presence", async (_, startKind) => {
  const url = await startKind();
  const start = async () => {
    const server = await startServerWith({ NODE_EXTRA_CA_CERTS: cert }, "--redis", url);
    servers.push(server);
    return server.url;
  };
  const [one, two] = [await start(), await start()];
  const ann = await Person.login(one, "ann");
  const there = ann.at({ url: two });
  const poll = there.batch("since=now&wait=60");
  while (!(await ann.ask("who")).body.includes("ann"));
  const id = await ann.post("once", { "Idempotency-Key": "k" });
  expect(texts(await poll)).toEqual(["once"]);
  expect(await there.post("once", { "Idempotency-Key": "k" })).toBe(id);
  expect((await login(two, "Ann")).status).toBe(409);
  const bob = await Person.login(two, "bob");
  // After a restart of the server everything is as before. New log-ins are refused for a moment.
  await redis?.kill();
  await redis?.start();
  while ((await ann.say("again")).status !== 200);
  expect(texts(await bob.batch("since=0&wait=0"))).toContain("once");
  await there.ask("logout", { method: "POST" });
  while ((await ann.poll("since=now&wait=0")).status !== 401);
});

test("a process refuses a server whose certificate is not trusted", async () => {
  const { exited, out } = runWith({}, "--port", "0", "--redis", await startTls());
  expect(await exited).toBe(1);
  expect(out.stderr).toMatch(/^holdline: cannot keep messages in Redis at [^\n]*certificate[^\n]*\n$/);
});
