/** The script that a browser loads for the room: small, in one file, and without syntax or functions that are too new. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { transform } from "esbuild";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("static/chatroom.html");
const scripts = [...page.matchAll(/src="\.\.\/\.\.\/(client\/\w+\.js)"/g)].map(([, path]) =>
  read(`dist/${path}`),
);

test("the page loads less than 16 KB of script, compressed, in two files that import nothing", () => {
  const sizes = scripts.map((script) => gzipSync(script, { level: 9 }).length);
  expect(sizes.length).toBe(2);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(16_000);
  for (const script of scripts) expect(script).not.toMatch(/^\s*import\b|\bimport\(/m);
});

/** What esbuild makes of a script for some engine; it rewrites syntax that the engine does not know. */
const lower = async (script: string, target: string[]) => (await transform(script, { target })).code;

test("the script has no syntax that Chrome 86, Firefox 90 or Safari 15 does not know, its watcher none newer than Chrome 51", async () => {
  const [watcher = "", script = ""] = scripts;
  expect(watcher).toContain("noscript");
  expect(await lower(watcher, ["chrome51"])).toBe(await lower(watcher, ["esnext"]));
  expect(await lower(script, ["chrome86", "firefox90", "safari15"])).toBe(await lower(script, ["esnext"]));
  expect(await lower("a.b ||= class { static { c(); } }", ["chrome86"])).not.toContain("static {");
});

/** What the oldest of these browsers lack, with the version that brought it. */
const NEWER_FUNCTIONS = `AbortSignal.timeout: Chrome 103, AbortSignal.any: Chrome 116, throwIfAborted: Chrome 100,
  requestSubmit: Safari 16, structuredClone: Chrome 98, .at(: Chrome 92, .findLast: Chrome 97, Object.hasOwn: Chrome 93,
  .toSorted: Chrome 110, withResolvers: Chrome 119, randomUUID: Chrome 92, .role =: Firefox 119, (?<: Safari 16.4,
  showModal: Safari 15.4, popover: Safari 17, scrollend: Safari 26.2`;

test("the script and the style do without functions and properties that these browsers lack", () => {
  for (const [name = ""] of NEWER_FUNCTIONS.split(/,\s+/).map((line) => line.split(": ")))
    for (const script of scripts) expect(script).not.toContain(name);
  // Chrome 87, Safari 16.4, Safari 15.4.
  for (const newer of [/inset[a-z-]*:/, /[^(]\(width/, /[^1]dvh/])
    expect(read("static/chat.css")).not.toMatch(newer);
});
