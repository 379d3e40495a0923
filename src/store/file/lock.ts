/**
 * A lock on a folder: a socket file in it, `lock-<random>`, on which the owner listens. The kernel closes a socket with
 * its process, even after kill -9. Containers that share a folder see each other, machines do not.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { access, constants, open, readdir, rename, rm, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { platform } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ifExists } from "./folder.js";

/** Enough for several processes that start at once on a busy machine. */
const ATTEMPTS = 20;
const PAUSE_STEP_MS = 20;
const IN_USE = "another process uses it; stop that one, or take another folder";

export interface Lock {
  /** Returns whether the lock is still in its folder: it goes when the folder is deleted. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

/** Locks a folder. Rejects if another process has locked it. */
export async function lock(folder: string, warn: (line: string) => void): Promise<Lock> {
  // Fails with an error that names the folder instead of a socket.
  await access(`${folder}/.`, constants.W_OK);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const taken = await tryLock(folder, warn);
    if (taken) return taken;
    await sleep(Math.random() * attempt * PAUSE_STEP_MS);
  }
  throw new Error(IN_USE);
}

/**
 * Listens on `lock-<random>.new`, looks for others, and renames the file then. So of two processes at least one sees the
 * other, and withdraws. A file on which nobody listens is deleted; whoever loses it before it listens cannot rename it.
 */
async function tryLock(folder: string, warn: (line: string) => void): Promise<Lock | undefined> {
  const name = `lock-${randomBytes(6).toString("hex")}`;
  const path = join(folder, name);
  const server = createServer((socket) => socket.destroy()).unref();
  const release = async () => {
    await new Promise((resolve) => server.close(resolve));
    // If the file stays, the next process deletes it.
    await rm(path, { force: true }).catch(() => undefined);
  };
  const handle = await open(folder, "r");
  // A socket's path has at most 107 bytes. On Linux, a folder of any depth has a short name while it is open.
  const short = platform() === "linux" ? `/proc/self/fd/${handle.fd}` : folder;
  try {
    await once(server.listen(join(short, `${name}.new`)), "listening");
    const isAlone = !(await seesAnother(folder, short, name));
    if (isAlone && (await ifExists(rename(`${path}.new`, path).then(() => true)))) {
      return { isHeld: async () => (await ifExists(stat(path))) !== undefined, release };
    }
    await release();
    return undefined;
  } catch (error) {
    await release();
    if (!/^Error: listen (EOPNOTSUPP|ENOTSUP|EPERM|EINVAL)/.test(`${error}`)) throw error;
    warn(`${folder}: no lock is possible here (${error}); make sure that only one process uses it`);
    return { isHeld: async () => true, release: async () => undefined };
  } finally {
    // It was only read from.
    await handle.close().catch(() => undefined);
  }
}

/** Returns whether another process is about to lock the folder. Rejects if one has locked it, even one that is stopped. */
async function seesAnother(folder: string, short: string, mine: string): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!/^lock-[0-9a-f]+(\.new)?$/.test(name) || name === `${mine}.new`) continue;
    const socket = connect(join(short, name));
    const answer = await once(socket, "connect").catch(({ code }) => code);
    socket.destroy();
    if (answer === "ECONNREFUSED") await rm(join(folder, name), { force: true });
    // A file that has gone was just renamed or released.
    else if (name.endsWith(".new") || answer === "ENOENT") return true;
    else throw new Error(IN_USE);
  }
  return false;
}
