/** Reads the body of a request as fields. Its length is bounded, and its type is checked strictly. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { finished } from "node:stream";
import { type Fields, parseForm, parseJson, toFields } from "./form.js";
import { badRequest, HttpError } from "./response.js";

/** How many bytes of a body that is too large are still read, so that its sender gets the 413 and no reset. */
const MAX_DISCARDED_BYTES = 1024 * 1024;

const EMPTY: Buffer = Buffer.alloc(0);
const INCOMPLETE = badRequest("The body did not arrive completely.");
const BAD_UTF8 = badRequest("The body is not UTF-8.");
const BAD_TYPE = new HttpError(
  415,
  "unsupported_type",
  "Send application/x-www-form-urlencoded or application/json, in UTF-8 and without a content coding.",
);

export interface BodyOptions {
  /** The longest body that is read, in bytes. */
  readonly bodyLimit: number;
  /** The names of the fields that may be numbers in a JSON body. Default: none. */
  readonly numberFields?: readonly string[];
}

/** Returns whether a request has a body, which may be empty (RFC 9112, section 6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

/** See `Request.form`. */
export async function readForm(
  req: IncomingMessage,
  { bodyLimit, numberFields = [] }: BodyOptions,
): Promise<Fields> {
  const parsed = parsedByHost(req);
  if (typeof parsed === "object" && !Buffer.isBuffer(parsed)) return toFields(parsed, numberFields);
  const body = parsed === undefined ? await readBytes(req, bodyLimit) : Buffer.from(parsed);
  if (body.length === 0) return new Map();
  const { "content-type": type = "", "content-encoding": coding } = req.headers;
  const [, kind] = /^\s*application\/(json|x-www-form-urlencoded)\s*(?:;|$)/i.exec(type) ?? [];
  const charset = /;\s*charset="?([^";\s]*)/i.exec(type)?.[1] ?? "utf-8";
  if (kind === undefined || coding !== undefined || !/^utf-?8$/i.test(charset)) throw BAD_TYPE;
  if (!isUtf8(body)) throw BAD_UTF8;
  const isJson = kind.toLowerCase() === "json";
  return isJson ? parseJson(body.toString(), numberFields) : parseForm(body.toString());
}

/** Returns what a body parser of the host has made of the body, or undefined if it is not read yet. */
function parsedByHost(req: IncomingMessage): object | string | Buffer | null | undefined {
  if (!req.readableEnded) return undefined;
  const body: unknown = "body" in req ? req.body : undefined;
  if (typeof body === "object" || typeof body === "string") return body;
  if (!hasBody(req) || req.headers["content-length"] === "0") return {};
  throw new Error("the body was read before it came to the chat, and req.body does not contain it");
}

async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  const headers = { Connection: "close" };
  const tooLarge = new HttpError(413, "too_large", `A body has at most ${limit} bytes.`, headers);
  const length = Number(req.headers["content-length"] ?? limit);
  if (length > MAX_DISCARDED_BYTES) throw tooLarge;
  // One buffer, because in a list of chunks a chunk of one byte would use two hundred.
  let body = length > limit ? EMPTY : Buffer.allocUnsafe(length);
  let bytes = 0;
  const isComplete = await new Promise<boolean>((resolve) => {
    req.on("data", (chunk: Buffer) => {
      if (bytes + chunk.length <= body.length) chunk.copy(body, bytes);
      bytes += chunk.length;
      if (bytes > MAX_DISCARDED_BYTES) resolve(true);
    });
    finished(req, (error) => resolve(!error));
  });
  const read = body.subarray(0, bytes);
  // The listener keeps this variable for as long as the request lives, and it may be a poll that is held.
  body = EMPTY;
  if (!isComplete) throw INCOMPLETE;
  if (bytes > limit) throw tooLarge;
  return read;
}
