/** Folders with absurd content: right checksums and wrong values, and large amounts of parts of records. */
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { HTML, texts } from "../wire/person.js";
import type { Server } from "../wire/server.js";
import { login, start, startAgain } from "./file-servers.js";
import { lineOf as line, newestOf, newFolder } from "./file-store.js";

let folder = "";
let version1 = "";
beforeEach(() => {
  folder = newFolder();
  version1 = join(folder, "messages.jsonl");
});

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
  const person = await login(server, "bob");
  expect((await person.ask("chatroom/bob/", { headers: HTML })).status).toBe(200);
  const id = await person.post("after");
  expect(Number(id.split("-")[0])).toBeLessThanOrEqual(Date.now());
  expect(texts(await person.batch("since=0&wait=0"))).toEqual(expected);
}

test("lines of the old format with absurd values and right checksums are skipped", async () => {
  writeFileSync(version1, HEAD + GOOD + absurd.map((json) => line(json)).join(""));
  const server = await start(folder);
  await works(server, ["good", "after"]);
  expect(server.stderr()).toContain(`are skipped: ${absurd.length}\n`);
});

test("records with absurd values and right checksums are skipped", async () => {
  const first = await start(folder);
  await works(first, ["after"]);
  await first.stop();
  appendFileSync(newestOf(folder), absurd.map((json) => line(json)).join(""));
  const server = await startAgain(folder, first);
  await works(server, ["after", "after"]);
  expect(server.stderr()).toContain(`are skipped: ${absurd.length}\n`);
});

test("twenty megabytes of parts of records cost no message", async () => {
  const junk = ['{"', '{"id":"', ',"crc":"00000000"}', '{"id":"1-0","crc":"00000000"}', "[[", "\n\n"];
  const lines = junk.map((part) => `${part.repeat(4_000_000 / part.length)}\n`);
  writeFileSync(version1, HEAD + lines.join("") + GOOD);
  await works(await start(folder), ["good", "after"]);
});
