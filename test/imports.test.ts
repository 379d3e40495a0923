/** The direction of imports in src/, and that the check of it can fail: it is tried on files that break each rule. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { faults, importsOf, readTree, type Tree, target } from "./imports.js";

const src = readTree(fileURLToPath(new URL("../src/", import.meta.url)));

test("imports in src/ point one way, without cycles, and lead to Node and its own files only", () => {
  expect(Object.keys(src).length).toBeGreaterThan(20);
  expect(faults(src)).toEqual([]);
});

test("the imports are really read: the program leads to the store, the room and the router", () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { from } of importsOf(src[file] ?? "")) if (from.startsWith(".")) visit(target(file, from));
  };
  visit("server.ts");
  for (const file of ["chat.ts", "room/waiters.ts", "store/id.ts", "http/router.ts"])
    expect(seen).toContain(file);
});

test("dependencies stay empty", () => {
  const { dependencies } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  expect(Object.keys(dependencies ?? {})).toEqual([]);
});

describe("a violation would be caught", () => {
  const good: Tree = {
    "server.ts": 'import { createChat } from "./chat.js";\nprocess.exit(createChat());',
    "chat.ts":
      'import { Room } from "./room/room.js";\nimport {\n  send,\n  type Reply,\n} from "./http/reply.js";',
    "room/room.ts": 'import type { Store } from "../store/store.js";\nimport { Rounds } from "./rounds.js";',
    "room/rounds.ts": 'import { setTimeout } from "node:timers";',
    "store/store.ts": "export interface Store {}",
    "store/redis/client.ts":
      'const { createClient } = await import("redis");\nimport type { RedisClientType } from "redis";',
    "http/reply.ts": 'export * from "./request.js";\n/** import "../chat.js"; process.exit() */',
    "http/request.ts": 'const a = "process.exit()"; const b = `import "../chat.js"`; // process',
    "client/page.ts":
      'import type { Store } from "../store/store.js";\nimport { type Reply } from "../http/reply.js";',
  };

  test("but a house in order has no fault", () => {
    expect(faults(good)).toEqual([]);
  });

  const bad: readonly [what: string, file: string, source: string, fault: string][] = [
    [
      "the room knows HTTP",
      "room/rounds.ts",
      'import { send } from "../http/reply.js";',
      "imports http/reply.ts",
    ],
    [
      "even by a type",
      "room/rounds.ts",
      'import type { Reply } from "../http/reply.js";',
      "imports http/reply.ts",
    ],
    [
      "HTTP knows the room",
      "http/request.ts",
      'import {\n  Room,\n} from "../room/room.js";',
      "imports room/room.ts",
    ],
    ["HTTP knows the chat", "http/request.ts", 'export * from "../chat.js";', "imports chat.ts"],
    ["by a bare import", "http/request.ts", 'import "../chat.js";', "imports chat.ts"],
    ["by import()", "http/request.ts", 'const chat = await import("../chat.js");', "imports chat.ts"],
    [
      "the store knows the room",
      "store/store.ts",
      'export { Room } from "../room/room.js";',
      "imports room/room.ts",
    ],
    [
      "the client loads the store",
      "client/page.ts",
      'import { a } from "../store/store.js";',
      "imports store/store.ts",
    ],
    [
      "with one value among types",
      "client/page.ts",
      'import { type A, b } from "../store/store.js";',
      "imports store",
    ],
    ["the client needs Node", "client/page.ts", 'import { join } from "node:path";', "no browser has"],
    ["a dependency", "chat.ts", 'import express from "express";', "depends on express"],
    ["Node's module without node:", "chat.ts", 'import fs from "fs";', "depends on fs"],
    [
      "redis at the start",
      "store/redis/client.ts",
      'import { createClient } from "redis";',
      "depends on redis",
    ],
    ["redis elsewhere", "chat.ts", 'await import("redis");', "depends on redis"],
    ["something computed", "chat.ts", "await import(name);", "depends on name"],
    ["require", "chat.ts", 'const fs = require("express");', "depends on express"],
    ["the program is imported", "chat.ts", 'import "./server.js";', "imports the program"],
    ["process", "chat.ts", "const port = process.env.PORT;", "touches process"],
    ["process by another way", "chat.ts", "globalThis.process.exit();", "touches process"],
    ["process as a module", "chat.ts", 'import { exit } from "node:process";', "touches process"],
    ["a file that is not there", "chat.ts", 'import { a } from "./nowhere.js";', "which is not there"],
    [
      "a cycle",
      "room/rounds.ts",
      'import { Room } from "./room.js";',
      "cycle: room/room.ts → room/rounds.ts → room/room",
    ],
    ["a cycle of types", "room/rounds.ts", 'import type { Room } from "./room.js";', "cycle: room/room.ts"],
    [
      "a file that imports itself",
      "store/store.ts",
      'import { a } from "./store.js";',
      "cycle: store/store.ts",
    ],
  ];

  test.each(bad)("%s", (_what, file, source, fault) => {
    expect(faults({ ...good, [file]: source }).join("\n")).toContain(fault);
  });
});
