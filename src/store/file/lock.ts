/**
 * One process per folder. Node has no flock(), and a file with a process id in it outlives a kill -9, after which the
 * id may be somebody else's. What the kernel does take back from a dead process, on Linux and macOS alike, is a
 * listening socket: whoever uses the folder listens on a socket file in it, `lock-<random>`.
 *
 * First one listens, then one looks whether somebody else does. So of two that start together the later one sees the
 * other, and lets go. Who is asked says whether it has the folder or is starting itself: then both may have let go,
 * and come back after a random while. A socket that nobody answers on is of a dead process; its name is never used
 * again, so it can be deleted without harm to anybody.
 *
 * Limits: containers on one machine that share a folder see each other; machines that share one over a network do
 * not. A file system without sockets has no lock, which is said.
 */
import { randomBytes } from "node:crypto";
import { access, constants, type FileHandle, open, readdir, rename, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { platform } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const ATTEMPTS = 20;
// In milliseconds. Far more than it takes to look, so that two that met once rarely meet again.
const APART = 100;
// In milliseconds. Who listens and does not answer, because it is stopped or very busy, has the folder.
const PATIENCE = 1000;
// A socket's path is at most 103 bytes on macOS, 107 on Linux.
const PATH_BYTES = 103;
const IN_USE = "another process uses it; stop that one, or take another folder";
const NO_SOCKETS = new Set(["EOPNOTSUPP", "ENOTSUP", "EPERM", "EINVAL"]);

/** A folder that is this process's own. */
export interface Lock {
  /** Whether the lock is still in the folder: it goes when somebody deletes the folder. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

/** Rejects when another process uses the folder. */
export async function lock(folder: string, warn: (line: string) => void): Promise<Lock> {
  // For an error that names the folder, and no socket.
  await access(folder, constants.W_OK);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const dir = await open(folder, "r");
    try {
      const mine = await claim(folder, dir);
      if (mine) return mine;
    } catch (error) {
      if (!isWithoutSockets(error)) throw error;
      warn(`${folder}: no lock is possible here (${error.message}); see to it that only one process uses it`);
      return { held: async () => true, release: async () => undefined };
    } finally {
      await dir.close().catch(() => undefined);
    }
    await setTimeout(Math.random() * APART);
  }
  throw new Error(IN_USE);
}

/** The lock, unless somebody else is after it at the same time. Rejects when somebody has it. */
async function claim(folder: string, dir: FileHandle): Promise<Lock | undefined> {
  const name = `lock-${randomBytes(6).toString("hex")}`;
  const path = join(folder, name);
  let state: "starting" | "held" = "starting";
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(state, () => socket.destroy());
  });
  const release = async () => {
    await new Promise((resolve) => server.close(resolve));
    // If its name stays, it is that of a dead one.
    await rm(path, { force: true }).catch(() => undefined);
  };
  try {
    await listen(server, socketPath(folder, dir, `${name}.new`));
    // Under its final name only once it listens: until then others would take it for dead.
    await rename(`${path}.new`, path);
    if (!(await isAnyoneStarting(folder, dir, name))) {
      state = "held";
      return { release, held: () => access(path).then(yes, no) };
    }
  } catch (error) {
    await release();
    throw error;
  }
  await release();
  return undefined;
}

async function isAnyoneStarting(folder: string, dir: FileHandle, mine: string): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!/^lock-[0-9a-f]+$/.test(name) || name === mine) continue;
    const state = await ask(socketPath(folder, dir, name));
    if (state === "held") throw new Error(IN_USE);
    if (state === "starting") return true;
    await rm(join(folder, name), { force: true });
  }
  return false;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(path, resolve).unref();
  });
}

/** What the one who listens says of itself. */
function ask(path: string): Promise<"starting" | "held" | "dead"> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let said = "";
    socket.on("data", (bytes) => {
      said += bytes;
    });
    // Who falls silent has let go: to ask again later is always safe.
    socket.on("end", () => resolve(said === "held" ? "held" : "starting"));
    socket.on("error", (error) => {
      const isDead = "code" in error && (error.code === "ECONNREFUSED" || error.code === "ENOENT");
      resolve(isDead ? "dead" : "starting");
    });
    socket.setTimeout(PATIENCE, () => {
      resolve("held");
      socket.destroy();
    });
  });
}

function isWithoutSockets(error: unknown): error is Error {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return false;
  return error.syscall === "listen" && NO_SOCKETS.has(String(error.code));
}

/** On Linux a folder of any depth has a short name while it is open. */
function socketPath(folder: string, dir: FileHandle, name: string): string {
  const path = platform() === "linux" ? `/proc/self/fd/${dir.fd}/${name}` : join(folder, name);
  if (Buffer.byteLength(path) <= PATH_BYTES) return path;
  throw new Error(`its path is too long for a lock by ${Buffer.byteLength(path) - PATH_BYTES} bytes`);
}

const yes = () => true;
const no = () => false;
