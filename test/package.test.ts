/** The package as others get it: packed, and installed into an empty project. */
import { readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";
import { publint } from "publint";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installPacked, type Packed, RESOLUTIONS, runIn, typeCheck } from "./packed.js";

const { resolve } = createRequire(import.meta.url);
let packed: Packed;
let project: string;

beforeAll(async () => {
  packed = await installPacked();
  project = packed.project;
}, 120_000);
afterAll(() => packed.remove());

const run = (file: string, args: string[]) => runIn(project, file, args);

test("the package contains what it needs and brings no other package", async () => {
  expect(await readdir(join(project, "node_modules"))).toEqual([".bin", ".package-lock.json", "holdline"]);
  const all = await readdir(join(project, "node_modules/holdline"), { recursive: true });
  const rest = all.filter((file) => !/^(dist|static|docs)\b/.test(file)).sort();
  expect(rest).toEqual([
    ...["CHANGELOG.md", "LICENSE", "README.md", "README.zh-CN.md", "SECURITY.md"],
    ...["deploy", "deploy/holdline.service", "deploy/nginx.conf"],
    ...["examples", "examples/progress", "examples/progress/index.html", "examples/progress/server.mjs"],
    "package.json",
  ]);
  const files = all.filter((file) => /^dist\/.*\.\w+$/.test(file));
  expect(files.filter((file) => !/\.(js|d\.ts)$/.test(file))).toEqual([]);
});

test("every entry can be imported, and the process ends after close", async () => {
  await writeFile(
    join(project, "use.js"),
    `import { createChat } from "holdline";
    import { longPoll } from "holdline/client";
    import { Feed, longPollHandler } from "holdline/feed";
    const chat = await createChat({ metrics: true });
    const news = chat.follow();
    await chat.post({ user: "bot", text: "hello" });
    for await (const { events } of news) { console.log(events[0].text, typeof longPoll); break; }
    await chat.close();
    const feed = new Feed();
    const batches = feed.follow();
    feed.push({ progress: 0.5 });
    for await (const { events } of batches) { console.log(events, typeof longPollHandler(feed)); break; }
    feed.close();`,
  );
  expect(await run(process.execPath, ["use.js"])).toBe("hello function\n[ { progress: 0.5 } ] function\n");
});

/** The code of an embedder, with every public type. */
const USE = `
import { createServer, type IncomingMessage } from "node:http";
import express, { type Request } from "express";
import { type Chat, type ChatOptions, createChat, FileStore, type Message, serve, StoreUnavailable } from "holdline";
import { type Batch, type FeedBatch, follow, longPoll, type PollOptions, type State } from "holdline/client";
import { type Batch as Events, type Cursor, Feed, type FinishReason, isCursor, longPollHandler, Waiter } from "holdline/feed";

const options: ChatOptions = { path: "/chat", identify: (req: Request) => req.get("x-user"), metrics: true };
const chat: Chat = await createChat(options);
await createChat({ identify: async (req) => (req satisfies IncomingMessage).headers["x-user"]?.toString() ?? null });
await createChat({ store: new FileStore({ folder: "data", warn: (line) => line }) });
createServer(chat.handler);
serve(chat.handler, { log: console.error });
express().use("/chat", chat.handler).use(chat.handler);
const message: Message = await chat.post({ user: "bot", text: "x", key: "k" });
for await (const { cursor, events, gap } of chat.follow({ since: message.id, signal: AbortSignal.timeout(1) })) {
  console.log(cursor, events satisfies readonly Message[], gap, chat.present.length, chat.waiting, StoreUnavailable.name);
}
const room = longPoll({ base: "http://localhost/", user: "ann" });
for await (const batch of room.batches) console.log((batch satisfies Batch).present);
const polling: PollOptions = { since: "0", wait: 20, onState: (state: State) => console.log(state.name) };
for await (const batch of follow(new URL("http://localhost/feed"), polling)) {
  const { cursor, events, gap }: FeedBatch = batch;
  const event: unknown = events[0];
  console.log(cursor, event, gap satisfies true | undefined);
}
await chat.close();

type Progress = { progress: number };
const feed = new Feed<Progress>({ backlog: 100, encode: (batch, events) => batch.cursor + events });
class Poll extends Waiter<Progress> {
  answer({ events, gap }: Events<Progress>, body: string | Buffer, reason: FinishReason): void {
    console.log(events[0]?.progress, gap, body.length, reason, this.cursor satisfies Cursor | "now");
  }
  override finished(reason: FinishReason): void {
    if (reason === "drained") console.log(feed.waiting);
  }
}
const result: "answered" | "held" | "full" = feed.poll(new Poll());
createServer(longPollHandler(feed, { authorize: (req) => req.headers.cookie === result }));
express().use("/a", longPollHandler(feed)).get("/b", longPollHandler(feed, { authorize: async (req: Request) => req.ip !== "" }));
const since: string = feed.push({ progress: 1 });
if (isCursor(since)) for await (const batch of feed.follow({ since })) console.log(batch.events[0]?.progress);
const { events: [first], more } = feed.readBefore("now", 1);
console.log(feed.read("0").cursor, first?.event.progress, more, feed.lastId, feed.lastPrunedId);
feed.reset({ lastPrunedId: "0-0", events: [{ id: "1-0", event: { progress: 0 } }] });
// @ts-expect-error not this feed's events
feed.push({ progress: "half" });
// @ts-expect-error a text from outside may be no cursor
feed.read(since);
// @ts-expect-error undefined is not the same as absent
new Feed({ backlog: undefined });
// @ts-expect-error only the feed sets it
feed.lastId = "1-0";
// @ts-expect-error there is no such option
follow("/feed", { slack: 5 });
// @ts-expect-error an event is unknown until it is checked
for await (const { events } of follow("/feed")) console.log(events[0].progress);
// @ts-expect-error there is no such option
await createChat({ maxwaiters: 5 });
// @ts-expect-error a name is needed
await chat.post({ text: "x" });
`;

test.each(RESOLUTIONS)(
  "the code of an embedder passes a strict check with %s resolution",
  async (...flags) => {
    await packed.link("@types/express", "@types/node");
    await writeFile(join(project, "use.ts"), USE);
    await typeCheck(project, ...flags, ["use.ts"]);
  },
);

test("the client bundled for a browser contains nothing of Node", async () => {
  const contents = 'import { longPoll } from "holdline/client"; globalThis.longPoll = longPoll;';
  const { outputFiles, warnings } = await build({
    stdin: { contents, resolveDir: project },
    ...{ bundle: true, platform: "browser", format: "iife", minify: true, write: false },
  });
  expect(warnings).toEqual([]);
  const code = outputFiles[0]?.text ?? "";
  expect(code).toContain("get_post");
  expect(code).not.toMatch(/node:|require\(|process\b|Buffer\b/);
});

test("publint and attw report no fault of the package", async () => {
  const pkgDir = join(project, "node_modules/holdline");
  expect((await publint({ pkgDir, strict: true, pack: false })).messages).toEqual([]);
  const attw = join(resolve("@arethetypeswrong/cli/package.json"), "../dist/index.js");
  // Modules only: `require` of them works from Node 22 on, and attw warns of it.
  await run(process.execPath, [attw, packed.tarball, "--profile", "esm-only", "--no-color"]);
});
