/**
 * The format of a segment: lines of JSON, first a header, then a record for each message. Each line ends with the CRC-32
 * of what stands before it, because a flipped bit inside a string leaves valid JSON.
 */
import { crc32 } from "node:zlib";
import { type Id, isId, parseId } from "../../feed/id.js";
import type { Message } from "../store.js";

/** A message and its idempotency key. */
export interface Stored {
  readonly message: Message;
  readonly key: string | undefined;
}

type Fields = { readonly [name: string]: unknown };

const START = '{"id":"';
const CRC = ',"crc":"';
const CRC_LENGTH = `${CRC}00000000"}`.length;
const NEWLINE = 10;
/** The last millisecond that a JavaScript date can name. */
const MAX_TIME_MS = 8.64e15;
/** Far enough below the largest exact integer to count on from any id that was read. */
const MAX_COUNTER = 2 ** 52;

/** Returns a line. */
export function encode(fields: object): string {
  const body = JSON.stringify(fields).slice(0, -1);
  return `${body}${crcField(body)}\n`;
}

/**
 * Reads a segment, also the file of format version 1, and counts the bytes that are damaged or end in mid-line. Lines are
 * found by their marks, whose quotes are escaped inside a string. So a damaged newline costs no message, and each byte is
 * examined a fixed number of times.
 */
export function decodeSegment(bytes: Buffer) {
  const stored: Stored[] = [];
  let header: { after: Id; sequence: unknown } | undefined;
  let damaged = 0;
  let end = 0;
  let from = 0;
  for (let crc = bytes.indexOf(CRC); crc >= 0; crc = bytes.indexOf(CRC, from)) {
    const offset = bytes.subarray(from, crc).lastIndexOf(START);
    const start = offset < 0 ? 0 : from + offset;
    // Only the header, at the start, begins in another way.
    const fields = offset < 0 && from > 0 ? {} : decode(bytes, start, crc);
    from = crc + CRC_LENGTH;
    const message = toStored(fields);
    if (message) stored.push(message);
    else if (start === 0 && fields.holdline !== undefined) header = toHeader(fields);
    else continue;
    damaged += start - end;
    end = bytes[from] === NEWLINE ? from + 1 : from;
  }
  const lastLine = Math.max(end, bytes.lastIndexOf(NEWLINE) + 1);
  return { header, stored, damaged: damaged + lastLine - end, truncated: bytes.length - lastLine };
}

/** Returns the fields of the line from `start` on; none if its checksum, at `crc`, is wrong. */
function decode(bytes: Buffer, start: number, crc: number): Fields {
  const body = bytes.subarray(start, crc);
  if (bytes.toString("latin1", crc, crc + CRC_LENGTH) !== crcField(body)) return {};
  try {
    return JSON.parse(`${body}}`);
  } catch {
    // A right checksum of what is no JSON. Without fields, it counts as damage.
    return {};
  }
}

function crcField(body: string | Buffer): string {
  return `${CRC}${crc32(body).toString(16).padStart(8, "0")}"}`;
}

/** Version 1 has `floor` instead of `after`, and no sequence. */
function toHeader({ holdline, sequence, floor, after = floor }: Fields) {
  if (holdline !== 1 && holdline !== 2) throw new Error(`format version ${holdline} needs a newer holdline`);
  return isStoredId(after, Number.MAX_SAFE_INTEGER) ? { sequence, after } : undefined;
}

function toStored({ id, user, text, at, kind, key }: Fields): Stored | undefined {
  if (!isStoredId(id, MAX_COUNTER) || typeof user !== "string" || typeof text !== "string") return undefined;
  if (typeof at !== "number" || !Number.isInteger(at) || at < 0 || at > MAX_TIME_MS) return undefined;
  if (key !== undefined && typeof key !== "string") return undefined;
  if (kind === undefined) return { message: { id, user, text, at }, key };
  return kind === "join" || kind === "leave" ? { message: { id, user, text, at, kind }, key } : undefined;
}

function isStoredId(id: unknown, maxCounter: number): id is Id {
  if (typeof id !== "string" || !isId(id)) return false;
  const [ms, n] = parseId(id);
  return ms >= 1 && ms <= MAX_TIME_MS && n <= maxCounter;
}
