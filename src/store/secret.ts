/**
 * The session secret: who has it can sign a cookie, so nobody else may read it. It is kept beside the messages, so
 * that people stay logged in over a restart.
 */
import { randomBytes } from "node:crypto";
import { chmod, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "./log.js";

/**
 * The secret in the file, 32 bytes; when there is no file it is made, of `secret` or at random, whole or not at all.
 * The file is readable for its owner only. Rejects when it holds anything else than a secret.
 */
export async function keepSecret(path: string, secret: Buffer = randomBytes(32)): Promise<Buffer> {
  const text = await readFile(path, "latin1").catch((error) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (text === undefined) {
    await create(path, `${secret.toString("hex")}\n`);
    return secret;
  }
  if (!/^[0-9a-f]{64}\n?$/.test(text)) {
    throw new Error(`${path} holds no secret (64 hexadecimal digits); delete it, and everybody logs in anew`);
  }
  await chmod(path, 0o600);
  return Buffer.from(text.trim(), "hex");
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
