/** The documents, as they are packed: every code block runs, and every link has a target. */
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join, normalize } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { transform } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Feed, longPollHandler } from "../dist/feed/index.js";
import { freePort } from "./conformance/port.js";
import { blocks, runShell, select, shellBlocks, texts } from "./documents.js";
import { answers } from "./faults/nginx.js";
import { installPacked, type Packed, RESOLUTIONS, ROOT, runIn, typeCheck } from "./packed.js";
import { type Redis, startRedis } from "./wire/redis.js";
import { launch, startServer } from "./wire/server.js";

let packed: Packed;
let folder: string;
let redis: Redis;
beforeAll(async () => {
  redis = await startRedis();
  packed = await installPacked();
  folder = packed.project;
  await packed.link("@types/express", "@types/node", "express", "fastify", "koa", "redis");
}, 120_000);
afterAll(async () => {
  await redis.stop();
  await packed.remove();
});

test("the README is short, and every code block has a language that is tested", () => {
  expect(texts.get("README.md")?.trim().split("\n").length).toBeLessThanOrEqual(180);
  const langs = new Set(blocks.map(({ lang, place }) => lang || place));
  // Diagrams and usage lines are text.
  expect([...langs].sort()).toEqual(["js", "json", "nginx", "sh", "text", "ts"]);
});

test("make help lists every target", async () => {
  const [, targets = ""] = /^\.PHONY: (.*)$/m.exec(await readFile(join(ROOT, "Makefile"), "utf8")) ?? [];
  const help = await runIn(ROOT, "make", ["--silent", "help"]);
  const listed = [...help.matchAll(/^([a-z]+) +\S/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(targets.split(" ").sort());
});

test.concurrent.each(shellBlocks(false))("the commands in %s run in %s", async (_, shell, code) => {
  const server = await startServer();
  const at = await mkdtemp(join(folder, "sh-"));
  const output = await runShell(shell, at, code.replaceAll("http://127.0.0.1:5000", server.url));
  await server.stop();
  expect(output).not.toBe("");
  if (code.includes("npx holdline --help")) expect(output).toContain("Usage: holdline [flags]");
  if (!code.includes("get_post")) return;
  // The replies of the post and of the poll arrive in any order.
  expect(output).toMatch(/^\{"id":"\d+-\d+"\}$/m);
  expect(output).toMatch(/"messages":\[\{.*"text":"(hello|你好)"/);
});

test.each(RESOLUTIONS)(
  "every TypeScript block passes a strict check with %s resolution",
  async (...flags) => {
    const names = select("ts").map(([place, { code }]) => ({
      name: `${place.replace(/\W/g, "-")}.ts`,
      code,
    }));
    for (const { name, code } of names) await writeFile(join(folder, name), code);
    await typeCheck(folder, ...flags, ["--skipLibCheck", ...names.map(({ name }) => name)]);
  },
);

test.concurrent.each(select("ts", "js"))("the program in %s runs", async (_, { code, lang }) => {
  const chat = code.includes("127.0.0.1:5000") ? await startServer() : undefined;
  const feed = new Feed<{ progress: number }>();
  feed.push({ progress: 0.5 });
  const feedServer = createServer(longPollHandler(feed)).listen(0, "127.0.0.1");
  await once(feedServer, "listening");
  const { port: feedPort } = feedServer.address() as { port: number };
  const port = await freePort();
  const source = code
    .replaceAll("http://127.0.0.1:5000", chat?.url ?? "")
    .replaceAll("redis://127.0.0.1:6379", redis.url)
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${feedPort}`)
    .replaceAll("3000", `${port}`);
  const script = join(await mkdtemp(join(folder, "js-")), "block.mjs");
  await writeFile(script, (await transform(source, { loader: lang === "ts" ? "ts" : "js" })).code);
  const { child, exited, out } = launch(process.execPath, [script], { cwd: dirname(script) });
  // A server listens, a client prints what it receives, and everything else ends by itself.
  while (out.stdout === "" && child.exitCode === null && !(await answers(port))) await nextTurn();
  if (child.exitCode === null) child.kill("SIGKILL");
  await exited;
  feed.close();
  feedServer.close();
  await chat?.stop();
  expect([child.exitCode ?? 0, out.stderr]).toEqual([0, ""]);
});

test.each(select("json"))("the JSON in %s can be parsed", (_, { code }) => {
  expect(Object.keys(JSON.parse(code))).not.toEqual([]);
});

test.each([...texts.keys()])("every link in %s has a target in the package", async (name) => {
  const root = join(folder, "node_modules/holdline");
  const text = texts.get(name)?.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "") ?? "";
  for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(link)) continue;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? name : normalize(join(dirname(name), path));
    const content = await readFile(join(root, target), "utf8");
    if (anchor !== undefined) expect(anchorsOf(content)).toContain(anchor);
  }
});

/** The anchors that GitHub gives to the headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
