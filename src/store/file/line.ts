/**
 * The lines of the message file, which `tail -f` shows as they are written:
 *
 *     {"holdline":1,"about":"...","floor":"1718000000000-0","crc":"9ae0daaf"}
 *     {"id":"1718000000123-0","user":"ann","text":"hi","at":1718000000123,"crc":"4b2c1f00"}
 *
 * The first line is the head; `floor` is the id before the first message. Every other line is one message, ids only
 * grow, and `key` is its idempotency key, if it had one. Each line ends with the CRC-32 (zlib's) of its bytes before
 * `,"crc"`: a flipped bit inside a string leaves good JSON, so JSON alone cannot tell that a line is whole.
 *
 * A line is known by where it starts and by its `crc`, not by its newline: inside a JSON string a quote is always
 * escaped, so neither can be part of a text. A newline that turns into something else costs nobody a message.
 */
import { isUtf8 } from "node:buffer";
import { compareIds, type Id, isId } from "../../feed/id.js";
import { idBefore } from "../id.js";
import type { Message } from "../store.js";

/** A message as the file keeps it. */
export interface Entry {
  readonly message: Message;
  readonly key: string | undefined;
}

/** Something in a file that should not be there. */
export interface Fault {
  /** Its first byte. */
  readonly at: number;
  /** What it is, in words. */
  readonly what: string;
}

/** What was read from a file. */
export interface Reading {
  /** The id before the first message. Undefined when neither head nor message is there to tell. */
  readonly floor: Id | undefined;
  readonly entries: readonly Entry[];
  /** In the order of the file. */
  readonly faults: readonly Fault[];
  /** The last line was not written to its end: it starts at this byte. */
  readonly torn: number | undefined;
}

const ABOUT =
  "Messages, oldest first, one JSON object a line; crc is the CRC-32 of what is before it in the line. Do not edit: a line that does not match its crc is set aside.";
const START = Buffer.from('{"');
const CRC = Buffer.from(',"crc":"');
const CRC_LENGTH = CRC.length + 8 + '"}'.length;
const NEWLINE = 10;

/** The first line of a file. */
export function encodeHead(floor: Id): Buffer {
  return encode({ holdline: 1, about: ABOUT, floor });
}

/** The line of a message. */
export function encodeEntry({ message, key }: Entry): Buffer {
  return encode({ ...message, key });
}

/** Reads a file, whatever is in it. Throws only for a head of another version. */
export function read(bytes: Buffer): Reading {
  const entries: Entry[] = [];
  const faults: Fault[] = [];
  let head: Id | undefined;
  let last: Id = "0-0";
  let ordered = true;
  let end = 0;
  for (let at = 0; at >= 0 && at < bytes.length; ) {
    const line = decode(bytes, at);
    const { content } = line;
    if (!content) {
      at = bytes.indexOf(START, line.end);
      continue;
    }
    if (at > end) faults.push(unreadable(end, at));
    if ("message" in content) {
      entries.push(content);
      const { id } = content.message;
      if (compareIds(id, last) <= 0) {
        ordered = false;
        faults.push({ at, what: `message ${id} comes after ${last}` });
      } else last = id;
    } else if (head === undefined && entries.length === 0) head = content.floor;
    else faults.push({ at, what: "a head that is not the first line" });
    at = end = line.end;
  }
  const whole = bytes.length === 0 || bytes[bytes.length - 1] === NEWLINE;
  const torn = whole ? undefined : Math.max(end, bytes.lastIndexOf(NEWLINE) + 1);
  if ((torn ?? bytes.length) > end) faults.push(unreadable(end, torn ?? bytes.length));
  if (head === undefined) faults.unshift({ at: 0, what: "no head" });
  const kept = ordered ? entries : sort(entries);
  return { floor: floorBefore(kept[0], head), entries: kept, faults, torn };
}

/** The whole line that starts at `at`, if one does, and where the next one may start. */
function decode(bytes: Buffer, at: number): { content?: Entry | { floor: Id } | undefined; end: number } {
  const newline = bytes.indexOf(NEWLINE, at);
  const stop = newline < 0 ? bytes.length : newline;
  let mark = stop - CRC_LENGTH;
  if (!matchesCrc(bytes, at, mark)) {
    // Its newline may be what is damaged; then the line goes on into the next one.
    mark = at + bytes.subarray(at, stop).indexOf(CRC);
    if (mark < at) return { end: stop };
    if (!matchesCrc(bytes, at, mark)) return { end: at + 1 };
  }
  const content = parse(bytes, at, mark);
  const next = mark + CRC_LENGTH;
  return { content, end: bytes[next] === NEWLINE ? next + 1 : next };
}

function parse(bytes: Buffer, from: number, to: number): Entry | { floor: Id } | undefined {
  const json = bytes.toString("utf8", from, to);
  if (json.includes("\ufffd") && !isUtf8(bytes.subarray(from, to))) return undefined;
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(`${json}}`);
  } catch {
    return undefined;
  }
  return toFloor(fields) ?? toEntry(fields);
}

function encode(fields: object): Buffer {
  const body = Buffer.from(JSON.stringify(fields).slice(0, -1));
  return Buffer.concat([body, Buffer.from(`${crcField(body, 0, body.length)}\n`)]);
}

function toFloor({ holdline, floor }: Record<string, unknown>): { floor: Id } | undefined {
  if (holdline === undefined) return undefined;
  if (holdline !== 1)
    throw new Error(`the message file is of version ${holdline}; this holdline reads version 1`);
  return typeof floor === "string" && isId(floor) ? { floor } : undefined;
}

function toEntry({ id, user, text, at, kind, key }: Record<string, unknown>): Entry | undefined {
  if (typeof id !== "string" || !isId(id) || typeof user !== "string" || typeof text !== "string")
    return undefined;
  if (typeof at !== "number" || (key !== undefined && typeof key !== "string")) return undefined;
  if (kind === undefined) return { message: { id, user, text, at }, key };
  return kind === "join" || kind === "leave" ? { message: { id, user, text, at, kind }, key } : undefined;
}

/** In the order of their ids, the first of each. */
function sort(entries: readonly Entry[]): Entry[] {
  const sorted = entries.toSorted((a, b) => compareIds(a.message.id, b.message.id));
  return sorted.filter(({ message }, i) => message.id !== sorted[i - 1]?.message.id);
}

/** What the head says, or, when it is lost, the highest id before the first message: then a gap is told once too often. */
function floorBefore(first: Entry | undefined, head: Id | undefined): Id | undefined {
  if (!first || (head !== undefined && compareIds(head, first.message.id) < 0)) return head;
  return idBefore(first.message.id);
}

function unreadable(from: number, to: number): Fault {
  return { at: from, what: `${to - from} unreadable bytes` };
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function matchesCrc(bytes: Buffer, from: number, to: number): boolean {
  if (to <= from || bytes[from] !== START[0] || bytes[to] !== CRC[0]) return false;
  return bytes.toString("latin1", to, to + CRC_LENGTH) === crcField(bytes, from, to);
}

/** The end of a line's JSON. zlib's own crc32 is not in every Node 20, and is no faster on lines this short. */
function crcField(bytes: Buffer, from: number, to: number): string {
  let crc = -1;
  for (let i = from; i < to; i++) crc = (CRC_TABLE[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  return `,"crc":"${(~crc >>> 0).toString(16).padStart(8, "0")}"}`;
}
