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
import { keepSecrets } from "../../src/store/file/folder.js";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-secret-"));
  path = join(folder, "secret");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a secret is made once, 32 random bytes, readable for its owner only", async () => {
  const secrets = await keepSecrets(path);
  const [secret] = secrets;
  expect(secret).toHaveLength(32);
  expect(readFileSync(path, "utf8")).toBe(`${secret.toString("hex")}\n`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["secret"]);
  expect(await keepSecrets(path)).toEqual(secrets);
  expect(await keepSecrets(join(folder, "another"))).not.toEqual(secrets);
});

test("a secret is made also after a crash left a part of one", async () => {
  writeFileSync(`${path}.new`, "half a sec", { mode: 0o644 });
  await keepSecrets(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["secret"]);
});

test("a secret that others can read, as after a restored backup, becomes readable for its owner only", async () => {
  const secret = await keepSecrets(path);
  chmodSync(path, 0o644);
  expect(await keepSecrets(path)).toEqual(secret);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a secret that is lost while the process runs is written again", async () => {
  const secret = await keepSecrets(path);
  rmSync(path);
  expect(await keepSecrets(path, secret)).toEqual(secret);
  expect(await keepSecrets(path)).toEqual(secret);
});

test.each([
  ["empty", ""],
  ["too short", "ab".repeat(31)],
  ["too long", "ab".repeat(33)],
  ["not hexadecimal", "xy".repeat(32)],
  ["right in its first line only", `${"ab".repeat(32)}\n${"ab".repeat(31)}\n`],
])("a secret file that is %s is an error that says what to do, and stays as it is", async (_, text) => {
  writeFileSync(path, text);
  await expect(keepSecrets(path)).rejects.toThrow("must hold 64 hexadecimal digits a line; delete it");
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("several lines are several secrets, the first one first", async () => {
  writeFileSync(path, `${"ab".repeat(32)}\n${"cd".repeat(32)}\n`);
  expect((await keepSecrets(path)).map((secret) => secret.toString("hex"))).toEqual([
    "ab".repeat(32),
    "cd".repeat(32),
  ]);
});

test("a folder in the secret's place is an error", async () => {
  mkdirSync(path);
  await expect(keepSecrets(path)).rejects.toThrow("EISDIR");
});
