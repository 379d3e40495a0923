/** A file store as the tests use it: each in a folder of its own, closed and deleted after the test. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect } from "vitest";
import { FileStore, type Message, StoreUnavailable } from "../../src/index.js";

export const KEEP = 4;

const folders: string[] = [];
const stores: FileStore[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdline-file-"));
  folders.push(folder);
  return folder;
}

/** The lines of a folder's messages, without the head. */
export function linesOf(folder: string): string[] {
  return readFileSync(join(folder, "messages.jsonl"), "utf8").trimEnd().split("\n").slice(1);
}

/** Closes a store and opens its folder again. */
export async function reopen(store: FileStore, folder: string): Promise<Opened> {
  await store.close();
  return open(folder);
}

export interface Opened {
  readonly store: FileStore;
  readonly floor: string;
  readonly messages: readonly Message[];
  /** The texts that were there at the opening, those shown since, and what was said to a person. */
  readonly found: string[];
  readonly shown: string[];
  readonly said: string[];
  /** The next thing that is said. */
  nextSaid(): Promise<string>;
}

export async function open(folder: string, keep = KEEP): Promise<Opened> {
  const shown: string[] = [];
  const said: string[] = [];
  let tell: (line: string) => void = () => {};
  const warn = (line: string) => {
    said.push(line);
    tell(line);
  };
  const store = new FileStore({ folder, keep, warn });
  stores.push(store);
  const { floor, messages } = await store.open(({ text }) => shown.push(text));
  const nextSaid = () =>
    new Promise<string>((resolve) => {
      tell = resolve;
    });
  return { store, floor, messages, found: messages.map(({ text }) => text), shown, said, nextSaid };
}

/** Posts texts together; tells which were kept and which were refused. */
export async function post(
  store: FileStore,
  texts: Iterable<string>,
): Promise<{ kept: string[]; refused: string[] }> {
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
