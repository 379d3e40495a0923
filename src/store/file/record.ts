/**
 * The format of a segment: lines of JSON, first a header, then a record for each message. Each line ends with the CRC-32
 * of what stands before it, because a flipped bit inside a string leaves valid JSON.
 */
import { crc32 } from "node:zlib";
import type { Id } from "../../feed/id.js";
import type { Stored } from "../memory.js";

type Fields = { readonly [name: string]: unknown };

/** The last millisecond that a JavaScript date can name. */
const MAX_TIME_MS = 8.64e15;
const CRC_BYTES = ',"crc":"01234567"}'.length;

/** Returns a line of a segment. */
export function encode(fields: object): string {
  const body = JSON.stringify(fields).slice(0, -1);
  return `${body},"crc":"${crc32(body).toString(16).padStart(8, "0")}"}\n`;
}

/**
 * Returns the records of a segment, the id in its header, and the number of damaged lines, which are skipped. A last line
 * without a newline was not written completely, so it was never acknowledged and is ignored.
 */
export function decodeSegment(bytes: Buffer) {
  const records: Stored[] = [];
  let after: Id | undefined;
  let damaged = 0;
  let start = 0;
  for (let end = bytes.indexOf("\n"); end >= 0; end = bytes.indexOf("\n", start)) {
    const fields = decode(bytes, start, end);
    const record = toStored(fields);
    if (start === 0) after = toHeader(fields);
    if (record) records.push(record);
    else if (start > 0 || after === undefined) damaged++;
    start = end + 1;
  }
  return { after, records, damaged };
}

/** Returns the fields of a line, none if it is damaged. The checksum comes first: to parse any text can take long. */
function decode(bytes: Buffer, start: number, end: number): Fields {
  const body = bytes.subarray(start, Math.max(start, end - CRC_BYTES));
  if (crc32(body) !== Number.parseInt(bytes.toString("latin1", end - 10, end - 2), 16)) return {};
  try {
    return JSON.parse(bytes.toString("utf8", start, end));
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
  if (typeof at !== "number" || !Number.isInteger(at) || at < 0 || at > MAX_TIME_MS) return undefined;
  if (key !== undefined && typeof key !== "string") return undefined;
  if (kind === undefined) return { message: { id, user, text, at }, key };
  return kind === "join" || kind === "leave" ? { message: { id, user, text, at, kind }, key } : undefined;
}

/** Returns whether an id is one to count on from: its integers are far enough below the largest exact one. */
function isStoredId(id: unknown): id is Id {
  return typeof id === "string" && /^[1-9]\d{0,14}-(0|[1-9]\d{0,14})$/.test(id);
}
