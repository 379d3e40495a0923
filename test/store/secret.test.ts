import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keepSecret } from "../../src/store/secret.js";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-secret-"));
  path = join(folder, "secret");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a secret is made once, 32 random bytes, readable for its owner only", async () => {
  const secret = await keepSecret(path);
  expect(secret).toHaveLength(32);
  expect(readFileSync(path, "utf8")).toBe(`${secret.toString("hex")}\n`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["secret"]);
  expect(await keepSecret(path)).toEqual(secret);
  expect(await keepSecret(join(folder, "another"))).not.toEqual(secret);
});

test("what a crash left of an earlier attempt is in nobody's way", async () => {
  writeFileSync(`${path}.new`, "half a sec", { mode: 0o644 });
  await keepSecret(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["secret"]);
});

test("a secret that others could read, as after a restored backup, is theirs to read no longer", async () => {
  const secret = await keepSecret(path);
  chmodSync(path, 0o644);
  expect(await keepSecret(path)).toEqual(secret);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a secret that is lost while the process runs is written again", async () => {
  const secret = await keepSecret(path);
  rmSync(path);
  expect(await keepSecret(path, secret)).toEqual(secret);
  expect(await keepSecret(path)).toEqual(secret);
});

test.each([
  ["empty", ""],
  ["too short", "ab".repeat(31)],
  ["too long", "ab".repeat(33)],
  ["not hexadecimal", "xy".repeat(32)],
  ["of two lines", `${"ab".repeat(32)}\n${"ab".repeat(32)}\n`],
])("a secret file that is %s is an error that says what to do, and stays as it is", async (_, text) => {
  writeFileSync(path, text);
  await expect(keepSecret(path)).rejects.toThrow("holds no secret (64 hexadecimal digits); delete it");
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("a folder in the secret's place is an error", async () => {
  mkdirSync(path);
  await expect(keepSecret(path)).rejects.toThrow("EISDIR");
});
