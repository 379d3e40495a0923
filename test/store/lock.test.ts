import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Lock, lock } from "../../src/store/file/lock.js";

vi.mock("node:net", async (original) => {
  const net = await original<typeof import("node:net")>();
  return { ...net, createServer: vi.fn(net.createServer) };
});

let folder = "";
let locks: Lock[] = [];
const said: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-lock-"));
});
afterEach(async () => {
  await Promise.all(locks.map((held) => held.release()));
  locks = [];
  said.length = 0;
  vi.mocked(createServer).mockClear();
  rmSync(folder, { recursive: true, force: true });
});

async function take(at = folder): Promise<Lock> {
  const held = await lock(at, (line) => said.push(line));
  locks.push(held);
  return held;
}

test("a folder is one process's at a time", async () => {
  const first = await take();
  await expect(take()).rejects.toThrow("another process uses it; stop that one, or take another folder");
  // It asked once, and did not come back.
  expect(createServer).toHaveBeenCalledTimes(2);
  expect(await first.held()).toBe(true);
  await first.release();
  expect(readdirSync(folder)).toEqual([]);
  await take();
  expect(said).toEqual([]);
});

test("of some that start at once, one gets the folder", async () => {
  for (let round = 0; round < 5; round++) {
    const outcomes = await Promise.allSettled([take(), take(), take()]);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await Promise.all(locks.splice(0).map((held) => held.release()));
  }
});

test("who listens and says nothing, being stopped or very busy, has the folder", async () => {
  const silent = createServer({ pauseOnConnect: true });
  const path = join(folder, "lock-0123456789ab");
  await new Promise<void>((resolve) => silent.listen(path, resolve));
  await expect(take()).rejects.toThrow("another process uses it");
  expect(readdirSync(folder)).toEqual(["lock-0123456789ab"]);
  silent.close();
});

test("what dead processes left is cleared away, and nothing else", async () => {
  // Nobody listens on a plain file either.
  writeFileSync(join(folder, "lock-0123456789ab"), "");
  writeFileSync(join(folder, "lock-of-the-door"), "");
  await take();
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^lock-[0-9a-f]{12}$/), "lock-of-the-door"]);
  expect(readdirSync(folder)).not.toContain("lock-0123456789ab");
});

test("a lock is gone with its folder, and can be taken again when that is back", async () => {
  const first = await take();
  rmSync(folder, { recursive: true });
  expect(await first.held()).toBe(false);
  await expect(take()).rejects.toThrow("ENOENT");
  mkdirSync(folder);
  const second = await take();
  await first.release();
  expect(await second.held()).toBe(true);
  await expect(take()).rejects.toThrow("another process uses it");
});

test("a folder deep down, with a path far longer than a socket's may be, is locked as well", async () => {
  const deep = join(folder, "deep".repeat(20), "down".repeat(20));
  mkdirSync(deep, { recursive: true });
  await take(deep);
  await expect(take(deep)).rejects.toThrow("another process uses it");
});

test("two ways to one folder are one folder", async () => {
  mkdirSync(join(folder, "a"));
  await take(join(folder, "a"));
  await expect(take(join(folder, "a", "..", "a"))).rejects.toThrow("another process uses it");
});

test.each(["EOPNOTSUPP", "ENOTSUP", "EPERM", "EINVAL"])(
  "where there are no sockets (%s) there is no lock, and it is said",
  async (code) => {
    vi.mocked(createServer).mockImplementationOnce(() => failing(code));
    const held = await take();
    expect(said).toEqual([expect.stringContaining("see to it that only one process uses it")]);
    expect(await held.held()).toBe(true);
  },
);

test("any other error in listening is an error", async () => {
  vi.mocked(createServer).mockImplementationOnce(() => failing("EACCES"));
  await expect(take()).rejects.toThrow("EACCES");
});

function failing(code: string): Server {
  const server = new Server();
  server.listen = () => {
    queueMicrotask(() =>
      server.emit("error", Object.assign(new Error(`${code}: listen`), { code, syscall: "listen" })),
    );
    return server;
  };
  return server;
}
