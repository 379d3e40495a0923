/**
 * The format of a segment: lines of JSON, first a header, then a record for each message. Each line ends with the CRC-32
 * of what stands before it, because a flipped bit inside a string leaves valid JSON.
 */
import { crc32 } from "node:zlib";
import { type Id, isId, parseId } from "../../feed/id.js";
import type { Stored } from "../appender.js";

type Fields = { readonly [name: string]: unknown };

/** Stands for a damaged line. One object for all, because a file may have millions of them. */
const DAMAGED: Fields = {};
const CRC = ',"crc":"';
/** Where a damaged line end joins two lines. */
const JOINT = /(?<=,"crc":"[0-9a-f]{8}"\})[^{]*/;
/** The last millisecond that a JavaScript date can name. */
const MAX_TIME_MS = 8.64e15;
/** Far enough below the largest exact integer to count on from any id that was read. */
const MAX_COUNTER = 2 ** 52;

/** Returns a line of a segment. */
export function encode(fields: object): string {
  const body = JSON.stringify(fields).slice(0, -1);
  return `${body}${CRC}${crc32(body).toString(16).padStart(8, "0")}"}\n`;
}

/**
 * Returns the header and the records of a segment, and the number of damaged lines, which are skipped. A last line without
 * a newline was not written completely, so it was never acknowledged and is ignored.
 */
export function decodeSegment(bytes: Buffer) {
  const decoded: Fields[] = [];
  for (const line of bytes.toString().split("\n").slice(0, -1)) {
    const fields = line.includes(CRC) ? decode(line) : DAMAGED;
    if (fields) decoded.push(fields);
    else for (const part of line.split(JOINT)) decoded.push(decode(part) ?? DAMAGED);
  }
  const header = toHeader(decoded[0] ?? DAMAGED);
  const records = decoded.map(toStored).filter((stored) => stored !== undefined);
  return { header, records, damaged: decoded.length - records.length - (header ? 1 : 0) };
}

/** Returns the fields of a line, unless it is damaged. The checksum comes first: to parse any text can take long. */
function decode(line: string): Fields | undefined {
  const body = line.slice(0, line.lastIndexOf(CRC));
  if (crc32(body) !== Number.parseInt(line.slice(body.length + CRC.length), 16)) return undefined;
  try {
    return JSON.parse(`${body}}`);
  } catch {
    return undefined;
  }
}

/**
 * Returns the number of the segment and the id that was acknowledged last before it. Format version 1 is one file without
 * a number, and calls the id `floor`.
 */
function toHeader({ holdline: version, sequence, floor, after = floor }: Fields) {
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
