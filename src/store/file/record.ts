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

interface Header {
  /** The number of the segment. Absent in the one file of format version 1. */
  readonly sequence: unknown;
  /** The last id that was acknowledged before the segment. */
  readonly after: Id;
}

type Fields = { readonly [name: string]: unknown };

const START = Buffer.from('{"id":"');
const CRC = Buffer.from(',"crc":"');
const CRC_LENGTH = ',"crc":"00000000"}'.length;
const NEWLINE = 10;
/** The last millisecond that a JavaScript date can name. */
const MAX_TIME_MS = 8.64e15;
/** Far enough below the largest exact integer to count on from any id that was read. */
const MAX_COUNTER = 2 ** 52;

/** Returns a line of a segment. */
export function encode(fields: object): string {
  const body = JSON.stringify(fields).slice(0, -1);
  return `${body},"crc":"${checksum(body)}"}\n`;
}

function checksum(body: string | Buffer): string {
  return crc32(body).toString(16).padStart(8, "0");
}

/**
 * Reads a segment, also the file of format version 1, and counts the bytes that are damaged or end in mid-line. Lines are
 * found by their marks, whose quotes are escaped inside a string. So a damaged newline costs no message, and each byte is
 * examined a fixed number of times.
 */
export function decodeSegment(bytes: Buffer) {
  const endOfLine = (crc: number) => crc + CRC_LENGTH + (bytes[crc + CRC_LENGTH] === NEWLINE ? 1 : 0);
  const first = bytes.indexOf(CRC);
  const header = toHeader(decode(bytes, 0, first));
  const stored: Stored[] = [];
  let end = header ? endOfLine(first) : 0;
  let from = end;
  let damaged = 0;
  for (let crc = bytes.indexOf(CRC, from); crc >= 0; crc = bytes.indexOf(CRC, from)) {
    const start = from + bytes.subarray(from, crc).lastIndexOf(START);
    const message = start < from ? undefined : toStored(decode(bytes, start, crc));
    from = crc + CRC_LENGTH;
    if (!message) continue;
    stored.push(message);
    damaged += start - end;
    end = endOfLine(crc);
  }
  const lastLine = Math.max(end, bytes.lastIndexOf(NEWLINE) + 1);
  return { header, stored, damaged: damaged + lastLine - end, truncated: bytes.length - lastLine };
}

/** Returns the fields of the line from `start` on; none if its checksum, at `crc`, is wrong. */
function decode(bytes: Buffer, start: number, crc: number): Fields {
  try {
    const fields = JSON.parse(bytes.toString("utf8", start, crc + CRC_LENGTH));
    return fields.crc === checksum(bytes.subarray(start, crc)) ? fields : {};
  } catch {
    // Without fields, it counts as damage.
    return {};
  }
}

/** Version 1 has `floor` instead of `after`, and no sequence. */
function toHeader({ holdline: version, sequence, floor, after = floor }: Fields): Header | undefined {
  if (version === undefined || !isStoredId(after, Number.MAX_SAFE_INTEGER)) return undefined;
  if (version === 1 || version === 2) return { sequence, after };
  throw new Error(`format version ${version} needs a newer holdline`);
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
