/** A file store as the tests use it: each in a folder of its own, closed and deleted after the test. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { afterEach, expect, onTestFinished } from "vitest";
import { FileStore, StoreUnavailable } from "../../src/index.js";

export const KEEP = 4;

const stores: FileStore[] = [];
afterEach(() => Promise.all(stores.splice(0).map((store) => store.close())));

/** Returns an empty folder. It is removed last, because a server that still runs can make a file in it meanwhile. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdline-file-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The paths of a folder's segments, oldest first. */
export function segmentsOf(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => /^segment-\d+\.jsonl$/.test(name));
  return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).map((name) => join(folder, name));
}

/** The path of the segment that is appended to. */
export function newestOf(folder: string): string {
  return segmentsOf(folder).at(-1) ?? "";
}

/** The lines of a folder's messages, without headers. */
export function linesOf(folder: string): string[] {
  return segmentsOf(folder).flatMap((path) => readFileSync(path, "utf8").trimEnd().split("\n").slice(1));
}

/** A line as the store writes it, of whatever JSON. */
export function lineOf(fields: object | string): string {
  const body = (typeof fields === "string" ? fields : JSON.stringify(fields)).slice(0, -1);
  return `${body},"crc":"${crc32(body).toString(16).padStart(8, "0")}"}\n`;
}

/** Opens a store of a chat with this backlog. */
export async function open(folder: string, backlog = KEEP, options = {}) {
  /** The texts shown since the opening, and what was said to a person. */
  const shown: string[] = [];
  const said: string[] = [];
  const store = new FileStore({ folder, warn: (line) => said.push(line), ...options });
  stores.push(store);
  const { lastPrunedId, messages } = await store.open(({ text }) => shown.push(text), undefined, backlog);
  /** The texts that were there at the opening. */
  return { store, lastPrunedId, messages, found: messages.map(({ text }) => text), shown, said };
}

/** Closes a store and opens its folder again. */
export async function reopen(store: FileStore, folder: string): ReturnType<typeof open> {
  await store.close();
  return open(folder);
}

/** Posts texts together; tells which were kept and which were refused. */
export async function post(store: FileStore, texts: Iterable<string>) {
  const kept: string[] = [];
  const refused: string[] = [];
  await Promise.all(
    Array.from(texts, async (text) => {
      try {
        await store.append({ user: "ann", text });
        kept.push(text);
      } catch (error) {
        expect(error).toBeInstanceOf(StoreUnavailable);
        refused.push(text);
      }
    }),
  );
  return { kept, refused };
}

/** Waits until the store has seen that the disk works again. */
export async function untilWritable(store: FileStore): Promise<void> {
  while (!store.writable) await setImmediate();
}
