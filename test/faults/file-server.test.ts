/** The whole server on a folder: killed under load, restarted, without room on its disk. */
import { execFileSync } from "node:child_process";
import { beforeEach, expect, test } from "vitest";
import type { Batch, Person } from "../wire/person.js";
import { code, texts } from "../wire/person.js";
import type { Server } from "../wire/server.js";
import { login, refusedStart, start, startAgain } from "./file-servers.js";
import { compareIds, newFolder } from "./file-store.js";

let folder = "";
beforeEach(() => {
  folder = newFolder();
});

/** Logs in and comes into the room; the notice of that is kept. */
async function arrive(server: Server, name: string): Promise<Person> {
  const person = await login(server, name);
  for (let here = false; !here; ) {
    const { messages } = await person.batch("since=0&wait=0");
    here = messages.some(({ kind, user }) => kind === "join" && user === name);
  }
  return person;
}

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

test("a cursor before the backlog reports a gap, after a restart as before", async () => {
  const server = await start(folder, ["--backlog", "5"]);
  const ann = await arrive(server, "ann");
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) ids.push(await ann.post(`${n}`));
  const ask = async (n: number) => {
    const batch = await ann.batch(`since=${ids[n]}&wait=0`);
    return [batch.gap, texts(batch)];
  };
  const before = [await ask(13), await ask(14), await ask(15)];
  expect(before).toEqual([
    [true, ["15", "16", "17", "18", "19"]],
    [undefined, ["15", "16", "17", "18", "19"]],
    [undefined, ["16", "17", "18", "19"]],
  ]);
  await server.stop("SIGKILL");
  await startAgain(folder, server, "--backlog", "5");
  // The first poll makes Ann join again, and her notice takes the place of the oldest message.
  while ((await ann.batch("since=0&wait=0")).messages.at(-1)?.kind !== "join");
  expect([await ask(14), await ask(15)]).toEqual([
    [true, ["16", "17", "18", "19"]],
    [undefined, ["16", "17", "18", "19"]],
  ]);
});

test("a server without a folder reports a gap to a cursor from before its restart", async () => {
  const server = await start("none");
  const cursor = await (await arrive(server, "ann")).post("before");
  await server.stop();
  const again = await startAgain("none", server);
  const ann = await arrive(again, "ann");
  await ann.post("after");
  const batch = await ann.batch(`since=${cursor}&wait=0`);
  expect([batch.gap, texts(batch)]).toEqual([true, ["after"]]);
});

test("a post on a full disk gets 503 and appears nowhere, polls go on, and posts too when there is room", async () => {
  const server = await start(folder);
  const [ann, bob] = [await arrive(server, "ann"), await arrive(server, "bob")];
  await ann.post("before");
  const { cursor } = await bob.batch("since=0&wait=0");
  const held = bob.batch(`since=${cursor}&wait=60`);
  const limit = (bytes: string) => execFileSync("prlimit", ["--pid", `${server.pid}`, `--fsize=${bytes}:`]);
  limit("10");
  const refused = await ann.say("during");
  expect(code(refused)).toEqual([503, "store_unavailable"]);
  expect(refused.headers["retry-after"]).toMatch(/^\d+$/);
  expect((await ann.ask("healthz")).status).toBe(503);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before"]);
  limit("unlimited");
  while ((await ann.ask("healthz")).status !== 200);
  await ann.post("after");
  expect(texts(await held)).toEqual(["after"]);
  await server.stop("SIGKILL");
  await startAgain(folder, server);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["before", "after"]);
  expect(server.stderr().trim().split("\n")).toEqual([
    expect.stringMatching("messages cannot be kept, posts are refused: EFBIG"),
    expect.stringMatching("messages are kept again"),
  ]);
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

test("a folder that cannot be made ends the start with one line that says why", async () => {
  // Where even a superuser cannot make a folder.
  expect(await refusedStart("/dev/null/data")).toMatch(/cannot keep messages in \/dev\/null\/data: ENOTDIR/);
});
