/** Folders with absurd content: right checksums and wrong values, and large amounts of parts of records. */
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

const HEAD = line('{"holdline":1,"floor":"1718000000000-0"}');
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

test("lines of the old format with absurd values and right checksums are skipped", async () => {
  writeFileSync(join(folder, "messages.jsonl"), HEAD + GOOD + absurd.map(line).join(""));
  const server = await start();
  await works(server, ["good", "after"]);
  expect(server.stderr()).toContain(`are skipped: ${absurd.length}\n`);
});

test("records with absurd values and right checksums are skipped", async () => {
  const first = await start();
  await works(first, ["after"]);
  await first.stop();
  appendFileSync(newest(), absurd.map(line).join(""));
  const server = await start("--port", `${first.port}`);
  await works(server, ["after", "after"]);
  expect(server.stderr()).toContain(`are skipped: ${absurd.length}\n`);
});

test("twenty megabytes of parts of records cost no message", async () => {
  const junk = ['{"', '{"id":"', ',"crc":"00000000"}', '{"id":"1-0","crc":"00000000"}', "[[", "\n\n"];
  const lines = junk.map((part) => `${part.repeat(4_000_000 / part.length)}\n`);
  writeFileSync(join(folder, "messages.jsonl"), HEAD + lines.join("") + GOOD);
  await works(await start(), ["good", "after"]);
});
