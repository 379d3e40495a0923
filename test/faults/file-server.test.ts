/** The whole server on a folder: killed under load, restarted, started twice, with absurd content, deleted or moved. */
import { on } from "node:events";
import { appendFileSync, mkdirSync, readdirSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import type { Batch, Person } from "../wire/person.js";
import { HTML, texts } from "../wire/person.js";
import type { Server } from "../wire/server.js";
import { login, refusedStart, start, startAgain } from "./file-servers.js";
import { compareIds, lineOf, newestOf, newFolder } from "./file-store.js";

let folder = "";
beforeEach(() => {
  folder = newFolder();
});

/** Everything that the person can still be told of. */
async function everything(person: Person): Promise<{ id: string; text: string }[]> {
  const messages: Batch["messages"][number][] = [];
  let batch = await person.batch("since=0&wait=0");
  while (batch.messages.length > 0) {
    messages.push(...batch.messages);
    batch = await person.batch(`since=${batch.cursor}&wait=0`);
  }
  return messages.filter(({ kind }) => kind === undefined).map(({ id, text }) => ({ id, text }));
}

/** Each one costs the start of a process. */
const KILLS = 12;

type Back = () => Promise<void>;

/** A person who posts without end; what fails with the server is posted again, with its key, to the next one. */
async function poster(person: Person, kept: (id: string) => void, signal: AbortSignal, back: Back) {
  for (let n = 0; !signal.aborted; n++) {
    const post = () => person.post(`${person.name} ${n}`, { "Idempotency-Key": `${n}` }).catch(back);
    let id = await post();
    while (!id && !signal.aborted) id = await post();
    if (id) kept(id);
  }
}

/** A person who polls without end, through every restart; gives what they were told of. */
async function follower(person: Person, signal: AbortSignal, back: Back): Promise<Batch["messages"]> {
  const seen: Batch["messages"][number][] = [];
  let since = "0";
  for (let last = false; !last; ) {
    last = signal.aborted;
    const batch = await person.batch(`since=${since}&wait=${last ? 0 : 5}&client=follower`).catch(back);
    if (!batch) continue;
    expect(batch.gap).toBeUndefined();
    seen.push(...batch.messages);
    since = batch.cursor;
    if (batch.messages.length > 0) last = false;
  }
  return seen;
}

test("a server that is killed again and again under eight posters keeps every post once, and a reader sees it once", async () => {
  // More than will be posted: the follower must never be told of a gap.
  let server = await start(folder, ["--backlog", "50000"]);
  const people = await Promise.all([..."abcdefgh"].map((name) => login(server, name)));
  const reader = await login(server, "reader");
  const kept: string[] = [];
  const over = new AbortController();
  let tell: () => void = () => {};
  let restarted: Promise<unknown> = Promise.resolve();
  const back = () => restarted.then(() => undefined);
  const onKept = (id: string) => {
    kept.push(id);
    tell();
  };
  const work = [
    follower(reader, over.signal, back),
    ...people.map((person) => poster(person, onKept, over.signal, back)),
  ] as const;
  for (let life = 1; life <= KILLS; life++) {
    const until = kept.length + 1 + Math.floor(Math.random() * 100);
    await new Promise<void>((resolve) => {
      tell = () => kept.length >= until && resolve();
    });
    const ended = server.stop("SIGKILL");
    const next: Promise<Server> = ended.then(() => startAgain(folder, server, "--backlog", "50000"));
    restarted = next;
    server = await next;
  }
  over.abort();
  const [seen] = await Promise.all(work);
  const there = await everything(reader);
  const ids = there.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].toSorted(compareIds));
  expect(new Set(ids)).toEqual(new Set([...ids, ...kept]));
  expect(new Set(kept).size).toBe(kept.length);
  // With its key a post whose answer was lost in a kill is not said twice.
  expect(new Set(there.map(({ text }) => text)).size).toBe(there.length);
  expect(seen.filter(({ kind }) => kind === undefined).map(({ id }) => id)).toEqual(ids);
});

test("sessions, cursors and idempotency keys are valid after a restart", async () => {
  const server = await start(folder);
  const ann = await login(server, "ann");
  const first = await ann.post("before", { "Idempotency-Key": "k" });
  const { cursor } = await ann.batch("since=0&wait=0");
  await server.stop();
  await startAgain(folder, server);
  expect(await ann.post("before", { "Idempotency-Key": "k" })).toBe(first);
  const nothing = await ann.batch(`since=${cursor}&wait=0`);
  expect([texts(nothing), nothing.gap]).toEqual([[], undefined]);
  await ann.post("after");
  expect(texts(await ann.batch(`since=${cursor}&wait=5`))).toEqual(["after"]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
});

test("a second server on the same folder ends with one line that says why, also while the first one is stopped", async () => {
  const server = await start(folder);
  const ann = await login(server, "ann");
  await ann.post("before");
  for (const signal of ["SIGSTOP", "SIGCONT"] as const) {
    process.kill(server.pid, signal);
    expect(await refusedStart(folder)).toContain("another process uses it");
  }
  await ann.post("after");
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
});

const HEAD = lineOf('{"holdline":1,"floor":"1718000000000-0"}');
const GOOD = lineOf('{"id":"1718000000001-0","user":"ann","text":"good","at":1718000000001}');

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
  writeFileSync(join(folder, "messages.jsonl"), HEAD + GOOD + absurd.map((json) => lineOf(json)).join(""));
  const server = await start(folder);
  await works(server, ["good", "after"]);
  expect(server.stderr()).toContain(`are skipped: ${absurd.length}\n`);
});

test("records with absurd values and right checksums are skipped", async () => {
  const first = await start(folder);
  await works(first, ["after"]);
  await first.stop();
  appendFileSync(newestOf(folder), absurd.map((json) => lineOf(json)).join(""));
  const server = await startAgain(folder, first);
  await works(server, ["after", "after"]);
  expect(server.stderr()).toContain(`are skipped: ${absurd.length}\n`);
});

test("twenty megabytes of parts of records cost no message", async () => {
  const junk = ['{"', '{"id":"', ',"crc":"00000000"}', '{"id":"1-0","crc":"00000000"}', "[[", "\n\n"];
  const lines = junk.map((part) => `${part.repeat(4_000_000 / part.length)}\n`);
  writeFileSync(join(folder, "messages.jsonl"), HEAD + lines.join("") + GOOD);
  await works(await start(folder), ["good", "after"]);
});

test("a server whose folder was deleted stays refused when another server's messages are in it", async () => {
  const a = await start(folder);
  const ann = await login(a, "ann");
  for (const text of ["A1", "A2"]) await ann.post(text);
  rmSync(folder, { recursive: true });
  const b = await start(folder);
  const bob = await login(b, "bob");
  for (const text of ["B1", "B2", "B3"]) await bob.post(text);
  expect((await ann.say("A while B runs")).status).toBe(503);
  await b.stop();
  // Each attempt of the first server makes a lock for a moment.
  const files = () => readdirSync(folder).filter((name) => !name.startsWith("lock-"));
  const before = files();
  const attempts = watch(folder);
  for (let n = 0; n < 3; n++) {
    // Each attempt of the first server to get its folder back begins with a lock.
    for await (const [, name] of on(attempts, "change")) if (`${name}`.startsWith("lock-")) break;
    expect((await ann.say("A when B has ended")).status).toBe(503);
    expect((await ann.ask("healthz")).status).toBe(503);
  }
  attempts.close();
  expect(files()).toEqual(before);
  // The folder is not locked by the server that lost it.
  await startAgain(folder, b);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1", "B2", "B3"]);
  expect(await a.stop()).toBe(0);
});

test("a server whose folder was emptied stays refused when another server's messages are in it", async () => {
  const a = await start(folder);
  const ann = await login(a, "ann");
  await ann.post("A1");
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  const b = await start(folder);
  const bob = await login(b, "bob");
  await bob.post("B1");
  expect((await ann.say("A2")).status).toBe(503);
  await b.stop("SIGKILL");
  expect((await ann.say("A3")).status).toBe(503);
  await startAgain(folder, b);
  expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["B1"]);
});

test("a server whose folder was deleted goes on when an empty one is there again, with the same sessions", async () => {
  const server = await start(folder);
  const ann = await login(server, "ann");
  await ann.post("deleted");
  rmSync(folder, { recursive: true });
  expect((await ann.say("refused")).status).toBe(503);
  mkdirSync(folder);
  while ((await ann.say("kept")).status !== 200);
  expect(await refusedStart(folder)).toContain("another process uses it");
  await server.stop("SIGKILL");
  await startAgain(folder, server);
  // What was deleted need not come back.
  expect(texts(await ann.batch("since=0&wait=0")).at(-1)).toBe("kept");
});
