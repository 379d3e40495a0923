/** What a browser has to load for the room: little, and all of it at once. */
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const CLIENT = new URL("../../dist/client/", import.meta.url);
const modules = readdirSync(CLIENT).filter((file) => file.endsWith(".js"));

test("the script is less than 15 KB, compressed", () => {
  const sizes = modules.map((file) => gzipSync(readFileSync(new URL(file, CLIENT)), { level: 9 }).length);
  expect(modules.length).toBeGreaterThan(10);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(15_000);
});

test("the page names every module, so that none is waited for until another has been read", () => {
  const page = readFileSync(new URL("../../static/chatroom.html", import.meta.url), "utf8");
  const named = [...page.matchAll(/"\.\.\/\.\.\/client\/(\w+\.js)"/g)].map(([, file]) => file);
  expect(named.sort()).toEqual(modules.sort());
});
