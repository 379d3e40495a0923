/** What outlasts a power cut in a folder: its name, the names in it, and the file of session secrets. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Secrets that verify session cookies; the first one signs them. */
export type Secrets = readonly [Buffer, ...Buffer[]];

/** Makes a folder and those above it, for their owner only. */
export async function makeFolder(folder: string): Promise<void> {
  if (await tolerate("ENOENT", stat(folder))) return;
  // One by one, because the option `recursive` of mkdir loops for ever below /proc (Node 20).
  await makeFolder(dirname(folder));
  // Another process may make it at the same time.
  await tolerate("EEXIST", mkdir(folder, { mode: 0o700 }));
  await sync(dirname(folder));
}

/**
 * Reads a file of secrets, 64 hexadecimal digits a line. If there is none, it is made of these secrets, or of a random
 * one, readable for its owner only. To change the secret, put a new line first and restart.
 */
export async function keepSecrets(path: string, secrets: Secrets = [randomBytes(32)]): Promise<Secrets> {
  if (!(await tolerate("ENOENT", stat(path)))) {
    const text = secrets.map((secret) => `${secret.toString("hex")}\n`).join("");
    await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
    await sync(dirname(path));
  }
  await chmod(path, 0o600);
  const lines = (await readFile(path, "latin1")).trim().split(/\r?\n/);
  const [first, ...others] = lines.map((line) => Buffer.from(line, "hex"));
  if (first && lines.every((line) => /^[0-9a-f]{64}$/.test(line))) return [first, ...others];
  throw new Error(`${path} must hold 64 hexadecimal digits a line; delete it, and everybody logs in again`);
}

/** Writes a file, or the names in a folder, from memory to the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

/** Returns the result of a call on a file, or undefined if it fails with this code. */
export function tolerate<T>(code: "ENOENT" | "EEXIST", result: Promise<T>): Promise<T | undefined> {
  return result.catch((error) => {
    if (error.code === code) return undefined;
    throw error;
  });
}
