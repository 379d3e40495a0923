/**
 * Segments, the files of a file store: `segment-<number>.jsonl`. Each has lines of JSON, first a header, then a record for each
 * message. Each line ends with the CRC-32 of what stands before it, because a flipped bit inside a string leaves valid JSON.
 */
import { copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { compareIds, type Id, parseId } from "../../feed/id.js";
import type { Stored } from "../memory.js";
import { sync } from "./folder.js";

type Fields = { readonly [name: string]: unknown };

/** A segment. `start`: the number of acknowledged messages in the segments before it. */
export type Segment = { readonly number: number; readonly path: string; readonly start: number };

/** The name of a segment, with its number. The one file of format version 1 is number 0. */
const NAME = /^(?:segment-([1-9]\d{0,14})|messages)\.jsonl$/;
const CRC_LENGTH = ',"crc":"01234567"}'.length;

/** Returns the number and the path of each segment in a folder, in order. */
export async function findSegments(folder: string) {
  const matches = (await readdir(folder)).map((name) => NAME.exec(name)).filter((match) => match !== null);
  const found = matches.map(([name, number = 0]) => ({ number: Number(number), path: join(folder, name) }));
  return found.sort((a, b) => a.number - b.number);
}

/**
 * Reads the segments in a folder. Returns them, the acknowledged messages, which are on the disk, and the id before these.
 * The header of a segment says what was acknowledged; what older segments hold beyond that is ignored.
 */
export async function readSegments(folder: string, warn: (line: string) => void) {
  const segments: Segment[] = [];
  const stored: Stored[] = [];
  let lastPrunedId: Id = "0-0";
  const lastId = () => stored.at(-1)?.message.id ?? lastPrunedId;
  for (const { number, path } of await findSegments(folder)) {
    // What a killed process wrote may be in memory only.
    await sync(path);
    const text = await readFile(path, "utf8");
    // A start that failed left it. The next segment gets its number, or a full disk would get one more file for each start.
    if (!text.includes("\n")) continue;
    const { after = lastId(), records, damaged } = decodeSegment(text);
    while (stored.length > 0 && compareIds(lastId(), after) > 0) stored.pop();
    if (stored.length === 0) lastPrunedId = after;
    else if (lastId() !== after) warn(`messages before ${path} are missing`);
    const start = stored.length;
    segments.push({ number, path, start });
    for (const record of records) if (compareIds(record.message.id, lastId()) > 0) stored.push(record);
    const skipped = damaged + records.length - (stored.length - start);
    if (skipped > 0) {
      warn(`damaged lines in ${path} are skipped: ${skipped}`);
      await copyFile(path, `${path}.damaged`);
    }
  }
  // There is no segment, or the header of the oldest one is damaged: whatever was before its first message is not known.
  if (lastPrunedId === "0-0")
    lastPrunedId = `${stored[0] ? parseId(stored[0].message.id)[0] - 1 : Date.now()}-0`;
  return { segments, stored, lastPrunedId, lastId: lastId() };
}

/** Returns a line of a segment. */
export function encode(fields: object): string {
  const body = JSON.stringify(fields).slice(0, -1);
  return `${body},"crc":"${crc32(body).toString(16).padStart(8, "0")}"}\n`;
}

/**
 * Returns the records of a segment, the id in its header, and the number of damaged lines, which are skipped. A last line
 * without a newline was not written completely, so it was never acknowledged and is ignored.
 */
export function decodeSegment(text: string) {
  const lines = text.split("\n").slice(0, -1);
  const after = toHeader(decode(lines[0] ?? ""));
  const records = lines.map((line) => toStored(decode(line))).filter((record) => record !== undefined);
  return { after, records, damaged: lines.length - records.length - (after ? 1 : 0) };
}

/** Returns the fields of a line, none if it is damaged. The checksum comes first: a damaged text can take long to parse. */
function decode(line: string): Fields {
  const body = line.slice(0, -CRC_LENGTH);
  if (crc32(body) !== Number(`0x${line.slice(-10, -2)}`)) return {};
  try {
    // Without the checksum, because V8 keeps each short text that it parses in a table.
    return JSON.parse(`${body}}`);
  } catch {
    return {};
  }
}

/** Returns the id that was acknowledged last before a segment. Format version 1, which is one file, calls it `floor`. */
function toHeader({ holdline: version, floor, after = floor }: Fields): Id | undefined {
  if (version === undefined || !isStoredId(after)) return undefined;
  if (version === 1 || version === 2) return after;
  throw new Error(`format version ${version} needs a newer holdline`);
}

function toStored({ id, user, text, at, kind, key }: Fields): Stored | undefined {
  if (!isStoredId(id) || typeof user !== "string" || typeof text !== "string") return undefined;
  // A page shows it as a date.
  if (typeof at !== "number" || at < 0 || new Date(at).getTime() !== at) return undefined;
  if (key !== undefined && typeof key !== "string") return undefined;
  if (kind === undefined) return { message: { id, user, text, at }, key };
  return kind === "join" || kind === "leave" ? { message: { id, user, text, at, kind }, key } : undefined;
}

/** Returns whether later ids can follow an id: its integers are far enough below 2^53. */
function isStoredId(id: unknown): id is Id {
  return typeof id === "string" && /^[1-9]\d{0,14}-(0|[1-9]\d{0,14})$/.test(id);
}
