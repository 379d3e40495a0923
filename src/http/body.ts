/** A request's body, read as fields: with a bound on its length, and strict about what it says it is. */
import type { IncomingMessage } from "node:http";
import { Fields, objectFields, parseForm, parseJsonFields } from "./form.js";
import { pendingRequests } from "./memory.js";
import { HttpError } from "./response.js";

/** How much of a body that is too large is still read, so that its sender gets to see the 413. */
const LINGER_BYTES = 1024 * 1024;

const NOTHING: Buffer = Buffer.alloc(0);

const CUT_OFF = new HttpError(400, "bad_request", "The body did not arrive whole.");
const BAD_TYPE = "Send application/x-www-form-urlencoded or application/json.";
const MALFORMED = new HttpError(
  400,
  "bad_request",
  "The body is not what its Content-Type says: a form, or an object whose values are all texts.",
);

/**
 * As `Request.form` says.
 * @param limit the longest body, in bytes
 * @param numbers the names of the fields that may be numbers in JSON
 */
export async function readForm(
  req: IncomingMessage,
  limit: number,
  numbers: readonly string[] = [],
): Promise<Fields> {
  const parsed = parsedByHost(req);
  const isObject = typeof parsed === "object" && !Buffer.isBuffer(parsed);
  if (isObject) return objectFields(parsed, numbers) ?? fail(MALFORMED);
  const body = parsed === undefined ? await readBytes(req, limit) : Buffer.from(parsed);
  if (body.length === 0) return new Fields();
  const [type = "", ...parameters] = (req.headers["content-type"] ?? "").toLowerCase().split(";");
  const isJson = type.trim() === "application/json";
  if (!isJson && type.trim() !== "application/x-www-form-urlencoded") {
    throw new HttpError(415, "unsupported_type", BAD_TYPE);
  }
  const foreign = parameters.find((p) => /^\s*charset=/.test(p) && !/^\s*charset="?utf-?8"?\s*$/.test(p));
  if (foreign !== undefined || req.headers["content-encoding"] !== undefined) {
    throw new HttpError(415, "unsupported_type", "Send UTF-8, without a content coding.");
  }
  const text = decodeUtf8(body);
  const fields = text === undefined ? undefined : isJson ? parseJsonFields(text, numbers) : parseForm(text);
  return fields ?? fail(MALFORMED);
}

function fail(error: HttpError): never {
  throw error;
}

/** What a parser of the host's made of a body that it has read; undefined when nobody has read it. */
function parsedByHost(req: IncomingMessage): object | string | Buffer | null | undefined {
  if (!req.readableEnded) return undefined;
  const body: unknown = "body" in req ? req.body : undefined;
  if (typeof body === "object" || typeof body === "string") return body;
  const { "content-length": length = "0", "transfer-encoding": chunked } = req.headers;
  if (length === "0" && chunked === undefined) return {};
  throw new Error("the body was read before it came to the chat, and req.body does not hold it");
}

async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = new HttpError(413, "too_large", `A body has at most ${limit} bytes.`, {
    Connection: "close",
  });
  if (Number(req.headers["content-length"]) > LINGER_BYTES) throw tooLarge;
  if (req.destroyed) throw CUT_OFF;
  const { socket } = req;
  let bytes = 0;
  let body = NOTHING;
  const keep = (buffer: Buffer) => {
    pendingRequests.add(socket, buffer.length - body.length);
    body = buffer;
  };
  const isWhole = await new Promise<boolean>((resolve) => {
    req.on("data", (chunk: Buffer) => {
      const start = bytes;
      bytes += chunk.length;
      if (bytes > LINGER_BYTES) resolve(true);
      if (bytes > limit || start === 0) {
        keep(bytes > limit ? NOTHING : chunk);
        return;
      }
      // One buffer, because in a list of chunks a chunk of one byte takes two hundred.
      if (bytes > body.length) {
        const larger = Buffer.alloc(Math.min(limit, 2 * bytes));
        body.copy(larger);
        keep(larger);
      }
      chunk.copy(body, start);
    });
    req.on("end", () => resolve(true));
    // After "end" this changes nothing; before it, the client went away in the middle.
    req.on("close", () => resolve(false));
    req.on("error", () => resolve(false));
  });
  const whole = body.subarray(0, bytes);
  // The listeners keep what they refer to for as long as the request lives, and it may be a poll that is held.
  keep(NOTHING);
  if (!isWhole) throw CUT_OFF;
  if (bytes > limit) throw tooLarge;
  return whole;
}

function decodeUtf8(body: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    // Its only error is that these are not UTF-8.
    return undefined;
  }
}
