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
import { tolerate } from "./folder.js";

/** The longest pause before a process that gave way tries again. */
const MAX_PAUSE_MS = 100;

/**
 * Locks a folder. Rejects if another process has locked it, even one that is stopped.
 *
 * A process looks for others, makes its file, and looks again, so of two processes at least one sees the other. If another
 * one is there at the first look, it owns the folder or is about to. If it came later, both may give way and try again.
 * `isHeld` of the lock says whether it is still in its folder: it goes when the folder is deleted.
 */
export async function lock(folder: string, warn: (line: string) => void) {
  // Fails with an error that names the folder instead of a socket.
  await access(`${folder}/.`, constants.W_OK);
  const handle = await open(folder, "r");
  // A socket's path has at most 107 bytes. On Linux, a folder of any depth has a short name while it is open.
  const short = platform() === "linux" ? `/proc/self/fd/${handle.fd}` : folder;
  const name = `lock-${randomBytes(6).toString("hex")}`;
  const path = join(folder, name);
  const server = createServer((socket) => socket.destroy()).unref();
  const isHeld = async () => (await tolerate("ENOENT", stat(path))) !== undefined;
  const release = async () => {
    server.close();
    // If the file stays, the next process deletes it.
    await rm(path, { force: true }).catch(() => undefined);
  };
  try {
    while (!(await isUsed(short))) {
      await once(server.listen(join(short, `${name}.new`)), "listening");
      // Another process can take a file on which nobody listens yet for a dead one, and delete it.
      await tolerate("ENOENT", rename(`${path}.new`, path));
      if (!(await isUsed(short, name)) && (await isHeld())) return { isHeld, release };
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
    // It was only read from.
    await handle.close().catch(() => undefined);
  }
}

/** Returns whether another process has a lock file, and deletes those of processes that have ended. */
async function isUsed(folder: string, mine?: string): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!/^lock-[0-9a-f]+(\.new)?$/.test(name) || name === mine) continue;
    const socket = connect(join(folder, name));
    const answer = await once(socket, "connect").catch(({ code }) => code);
    socket.destroy();
    if (answer === "ECONNREFUSED") await rm(join(folder, name), { force: true });
    // A file that has gone was just renamed or released.
    else if (answer !== "ENOENT" && !name.endsWith(".new")) return true;
  }
  return false;
}
