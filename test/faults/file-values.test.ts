/** Folders with absurd content: right checksums and wrong values, and much of what only looks like a record. */
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { HTML, Person, texts } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdline-values-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function start(...flags: string[]): Promise<Server> {
  const server = await startServer("--data", folder, ...flags);
  onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
  return server;
}

/** A line as the store writes it, whatever it says. */
function line(json: string): string {
  const body = json.slice(0, -1);
  return `${body},"crc":"${crc32(body).toString(16).padStart(8, "0")}"}\n`;
}

/** The file that was written last. */
function newest(): string {
  const paths = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => join(folder, name));
  return paths.toSorted((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs).at(-1) ?? "";
}

const HEAD = line('{"holdline":1,"lastPrunedId":"1718000000000-0"}');
const GOOD = line('{"id":"1718000000001-0","user":"ann","text":"good","at":1718000000001}');

const absurd = [
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1e300}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":-1}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":8640000000000001}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1.5}',
  '{"id":"18446744073709551615-0","user":"eve","text":"bad","at":1718000000002}',
  '{"id":"1718000000002-18446744073709551615","user":"eve","text":"bad","at":1718000000002}',
  '{"id":"9007199254740993-9007199254740993","user":"eve","text":"bad","at":1718000000002}',
  '{"id":"1718000000002-0","user":null,"text":"bad","at":1718000000002}',
  '{"id":"1718000000002-0","user":"eve","text":{"a":1},"at":1718000000002}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1718000000002,"kind":"explode"}',
  '{"id":"1718000000002-0","user":"eve","text":"bad","at":1718000000002,"key":7}',
];

async function works(server: Server, expected: readonly string[]): Promise<void> {
  const person = await Person.login(server.url, "bob");
  onTestFinished(() => person.close());
  expect((await person.ask("chatroom/bob/", { headers: HTML })).status).toBe(200);
  const id = await person.post("after");
  expect(Number(id.split("-")[0])).toBeLessThanOrEqual(Date.now());
  expect(texts(await person.batch("since=0&wait=0"))).toEqual(expected);
}

test.each(absurd)(
  "a line of the old format with a right checksum and absurd values is skipped: %s",
  async (json) => {
    writeFileSync(join(folder, "messages.jsonl"), HEAD + GOOD + line(json));
    const server = await start();
    await works(server, ["good", "after"]);
    expect(server.stderr()).toContain(folder);
  },
);

test.each(absurd)("a record with a right checksum and absurd values is skipped: %s", async (json) => {
  const first = await start();
  await works(first, ["after"]);
  await first.stop();
  appendFileSync(newest(), line(json));
  const server = await start("--port", `${first.port}`);
  await works(server, ["after", "after"]);
  expect(server.stderr()).toContain(folder);
});

test.each([
  ["starts of objects", '{"'],
  ["starts of records", '{"id":"'],
  ["ends of records", ',"crc":"00000000"}'],
  ["starts and ends", '{"id":"1-0","crc":"00000000"}'],
  ["starts and ends on lines of their own", '{"id":"1-0"\n,"crc":"00000000"}\n'],
  ["brackets", "[["],
])("twenty megabytes of %s cost a start little, and no message", async (_, junk) => {
  writeFileSync(join(folder, "messages.jsonl"), HEAD + GOOD + junk.repeat(20_000_000 / junk.length));
  await works(await start(), ["good", "after"]);
});
