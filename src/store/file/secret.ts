/**
 * The session secret: who has it can sign a cookie, so nobody else may read it. It is kept beside the messages, so
 * that people stay logged in over a restart. To change it, put a new line first and start again: the first line signs,
 * and cookies signed with the others are good until their lines are taken out.
 */
import { randomBytes } from "node:crypto";
import { chmod, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "./log.js";

/** Secrets, one at least: the first signs, all are good. */
export type Secrets = readonly [Buffer, ...Buffer[]];

/**
 * The secrets in the file, 32 bytes each, one a line; when there is no file it is made, of `secrets` or of one at
 * random, whole or not at all. The file is readable for its owner only. Rejects when it holds anything else.
 */
export async function keepSecrets(path: string, secrets: Secrets = [randomBytes(32)]): Promise<Secrets> {
  const text = await readFile(path, "latin1").catch((error) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (text === undefined) {
    await create(path, secrets.map((secret) => `${secret.toString("hex")}\n`).join(""));
    return secrets;
  }
  const [first, ...others] = text.trim().split(/\r?\n/);
  if (first === undefined || ![first, ...others].every((line) => /^[0-9a-f]{64}$/.test(line))) {
    throw new Error(
      `${path} holds no secret (64 hexadecimal digits a line); delete it, and everybody logs in anew`,
    );
  }
  await chmod(path, 0o600);
  return [Buffer.from(first, "hex"), ...others.map((line) => Buffer.from(line, "hex"))];
}

async function create(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncFolder(dirname(path));
}
