/** A folder of one process: it is made and locked, and it keeps the session secrets. All of it outlasts a power cut. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs/promises";
import { connect, createServer } from "node:net";
import { platform } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The longest pause before a process that gave way tries again to lock a folder. */
const MAX_PAUSE_MS = 100;

/** Secrets that verify session cookies; the first one signs them. */
export type Secrets = readonly [Buffer, ...Buffer[]];

/** Makes a folder and those above it, for their owner only. */
export async function makeFolder(folder: string): Promise<void> {
  if (await tolerate("ENOENT", fs.stat(folder))) return;
  // One by one, because the option `recursive` of mkdir loops for ever below /proc (Node 20).
  await makeFolder(dirname(folder));
  // Another process may make it at the same time.
  await tolerate("EEXIST", fs.mkdir(folder, { mode: 0o700 }));
  await sync(dirname(folder));
}

/**
 * Locks a folder. Rejects if another process has locked it, even one that is stopped. The lock is a socket file in it,
 * `lock-<random>`, on which the owner listens. The kernel closes a socket with its process, even after kill -9. Containers
 * that share a folder see each other, machines do not.
 *
 * A process looks for others, listens, and looks again, so of two processes at least one sees the other. If another one is
 * there at the first look, it owns the folder or is about to. If it came later, both may give way and try again.
 * @returns the lock. `isHeld` says whether its file is still in the folder, which may be deleted. `release` never rejects
 */
export async function lock(folder: string, warn: (line: string) => void) {
  // Fails with an error that names the folder instead of a socket.
  await fs.access(`${folder}/.`, fs.constants.W_OK);
  const handle = await fs.open(folder, "r");
  // A socket's path has at most 107 bytes. On Linux, a folder of any depth has a short name while it is open.
  const short = platform() === "linux" ? `/proc/self/fd/${handle.fd}` : folder;
  const name = `lock-${randomBytes(6).toString("hex")}`;
  const path = join(folder, name);
  const server = createServer((socket) => socket.destroy()).unref();
  const isHeld = async () => (await tolerate("ENOENT", fs.stat(path))) !== undefined;
  const release = async () => {
    server.close();
    // If the file stays, the next process deletes it.
    await fs.rm(path, { force: true }).catch(() => undefined);
  };
  try {
    while (await isFree(short)) {
      await once(server.listen(join(short, name)), "listening");
      if ((await isFree(short, name)) && (await isHeld())) return { isHeld, release };
      await release();
      await sleep(Math.random() * MAX_PAUSE_MS);
    }
    throw new Error("another process uses it");
  } catch (error) {
    await release();
    if (!/^Error: listen (EOPNOTSUPP|ENOTSUP|EPERM|EINVAL)/.test(`${error}`)) throw error;
    warn(`no lock is possible here (${error}); make sure that only one process uses the folder`);
    return { isHeld: async () => true, release };
  } finally {
    // Nothing was written to it, so a failure to close loses nothing.
    await handle.close().catch(() => undefined);
  }
}

/** Returns whether no other process has a lock file. With `mine`, it deletes the lock files of processes that have ended. */
async function isFree(folder: string, mine?: string): Promise<boolean> {
  for (const name of await fs.readdir(folder)) {
    if (!/^lock-[0-9a-f]+$/.test(name) || name === mine) continue;
    const socket = connect(join(folder, name));
    const answer = await once(socket, "connect").catch(({ code }) => code);
    socket.destroy();
    // ENOENT: its process has just released it.
    if (answer !== "ECONNREFUSED" && answer !== "ENOENT") return false;
    // The file may belong to a process that is about to listen. That process sees this one only if this one listens already.
    if (mine) await fs.rm(join(folder, name), { force: true });
  }
  return true;
}

/**
 * Reads a file of secrets, 64 hexadecimal digits a line. If there is none, it is made of these secrets, or of a random
 * one, readable for its owner only. The caller syncs the folder. To change the secret, put a new line first and restart.
 */
export async function keepSecrets(path: string, secrets: Secrets = [randomBytes(32)]): Promise<Secrets> {
  if (!(await tolerate("ENOENT", fs.stat(path)))) {
    const text = secrets.map((secret) => `${secret.toString("hex")}\n`).join("");
    await fs.writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
    await fs.rename(`${path}.new`, path);
  }
  await fs.chmod(path, 0o600);
  const lines = (await fs.readFile(path, "latin1")).trim().split(/\r?\n/);
  const [first, ...others] = lines.map((line) => Buffer.from(line, "hex"));
  if (first && lines.every((line) => /^[0-9a-f]{64}$/.test(line))) return [first, ...others];
  throw new Error(`${path} must hold 64 hexadecimal digits a line; delete it, and everybody logs in again`);
}

/** Writes a file, or the names in a folder, from memory to the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  await handle.sync().finally(() => handle.close());
}

/** Returns the result of a call on a file, or undefined if it fails with this code. */
function tolerate<T>(code: "ENOENT" | "EEXIST", result: Promise<T>): Promise<T | undefined> {
  return result.catch((error) => (error.code === code ? undefined : Promise.reject(error)));
}
