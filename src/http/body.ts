/** Reads the body of a request as fields. Its length is bounded, and its type is checked strictly. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { Fields, parseForm, parseJson, toFields } from "./form.js";
import { memory } from "./memory.js";
import { HttpError } from "./response.js";

/** How many bytes of a body that is too large are still read, so that its sender gets the 413 and no reset. */
const MAX_DISCARDED_BYTES = 1024 * 1024;

const EMPTY: Buffer = Buffer.alloc(0);
const INCOMPLETE = new HttpError(400, "bad_request", "The body did not arrive completely.");
const BAD_UTF8 = new HttpError(400, "bad_request", "The body is not UTF-8.");
const BAD_TYPE = new HttpError(
  415,
  "unsupported_type",
  "Send application/x-www-form-urlencoded or application/json, in UTF-8 and without a content coding.",
);
/** See `Request.form`. @param numbers the names of the fields that may be numbers in JSON */
export async function readForm(
  req: IncomingMessage,
  limit: number,
  numbers: readonly string[],
): Promise<Fields> {
  const parsed = parsedByHost(req);
  if (typeof parsed === "object" && !Buffer.isBuffer(parsed)) return toFields(parsed, numbers);
  const body = parsed === undefined ? await readBytes(req, limit) : Buffer.from(parsed);
  if (body.length === 0) return new Fields();
  const { "content-type": type = "", "content-encoding": coding } = req.headers;
  const [, kind] = /^\s*application\/(json|x-www-form-urlencoded)\s*(?:;|$)/i.exec(type) ?? [];
  const charset = /;\s*charset="?([^";\s]*)/i.exec(type)?.[1] ?? "utf-8";
  if (kind === undefined || coding !== undefined || !/^utf-?8$/i.test(charset)) throw BAD_TYPE;
  if (!isUtf8(body)) throw BAD_UTF8;
  return kind.toLowerCase() === "json" ? parseJson(body.toString(), numbers) : parseForm(body.toString());
}

/** Returns what a body parser of the host has made of the body, or undefined if it is not read yet. */
function parsedByHost(req: IncomingMessage): object | string | Buffer | null | undefined {
  if (!req.readableEnded) return undefined;
  const body: unknown = "body" in req ? req.body : undefined;
  if (typeof body === "object" || typeof body === "string") return body;
  const { "content-length": length = "0", "transfer-encoding": chunked } = req.headers;
  if (length === "0" && chunked === undefined) return {};
  throw new Error("the body was read before it came to the chat, and req.body does not contain it");
}

async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  const headers = { Connection: "close" };
  const tooLarge = new HttpError(413, "too_large", `A body has at most ${limit} bytes.`, headers);
  const length = Number(req.headers["content-length"] ?? limit);
  if (length > MAX_DISCARDED_BYTES) throw tooLarge;
  if (req.destroyed) throw INCOMPLETE;
  // One buffer, because in a list of chunks a chunk of one byte would use two hundred.
  let body = length > limit ? EMPTY : Buffer.allocUnsafe(length);
  memory.add(req.socket, body.length);
  let bytes = 0;
  const isComplete = await new Promise<boolean>((resolve) => {
    req.on("data", (chunk: Buffer) => {
      if (bytes + chunk.length <= body.length) chunk.copy(body, bytes);
      bytes += chunk.length;
      if (bytes > MAX_DISCARDED_BYTES) resolve(true);
    });
    req.on("end", () => resolve(true));
    // Before "end", these mean that the client has gone away. After it, they change nothing.
    req.on("close", () => resolve(false));
    req.on("error", () => resolve(false));
  });
  memory.add(req.socket, -body.length);
  const read = body.subarray(0, bytes);
  // The listeners keep this variable for as long as the request lives, and it may be a poll that is held.
  body = EMPTY;
  if (!isComplete) throw INCOMPLETE;
  if (bytes > limit) throw tooLarge;
  return read;
}
