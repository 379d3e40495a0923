/** Fields of queries and bodies: form encoding (`a=1&b=2`) or a JSON object. They are bounded and parsed strictly. */
import type { IncomingMessage } from "node:http";
import { badRequest, HttpError } from "./response.js";

/** Fields by name. Of several form fields with one name, the first counts; of JSON members, the last. */
export type Fields = ReadonlyMap<string, string>;

/** How many bytes of a body that is too large are still read, so that its sender gets the 413 and no reset. */
const MAX_DISCARDED_BYTES = 1024 * 1024;

const UTF8 = new TextDecoder("utf-8", { fatal: true });
const INCOMPLETE = badRequest("The body did not arrive completely.");
const BAD_TEXT = badRequest("The percent-encoding or the UTF-8 of the fields is malformed.");
const BAD_JSON = badRequest("A JSON body is one object of texts or numbers.");
const BAD_TYPE = new HttpError(415, "unsupported_type", "Send a form or JSON, in UTF-8 and not compressed.");

/** Returns whether a request has a body, which may be empty (RFC 9112, section 6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

/** See `Request.form`. @param limit the longest body that is read, in bytes */
export async function readForm(req: IncomingMessage, limit: number): Promise<Fields> {
  const parsed = parsedByHost(req);
  if (typeof parsed === "object" && !Buffer.isBuffer(parsed)) return toFields(parsed);
  const body = parsed === undefined ? await readBytes(req, limit) : Buffer.from(parsed);
  if (body.length === 0) return new Map();
  const { "content-type": type = "", "content-encoding": coding } = req.headers;
  const [, kind] = /^\s*application\/(json|x-www-form-urlencoded)\s*(?:;|$)/i.exec(type) ?? [];
  const isOtherCharset = /;\s*charset=(?!"?utf-?8\b)/i.test(type);
  if (kind === undefined || coding !== undefined || isOtherCharset) throw BAD_TYPE;
  const text = orThrow(() => UTF8.decode(body), BAD_TEXT);
  if (kind.toLowerCase() !== "json") return parseForm(text);
  return toFields(orThrow(() => JSON.parse(text), BAD_JSON));
}

/** Returns what a body parser of the host has made of the body, or undefined if it is not read yet. */
function parsedByHost(req: IncomingMessage & { body?: unknown }): object | string | null | undefined {
  const { body, headers } = req;
  if (!req.readableEnded) return undefined;
  if (typeof body === "object" || typeof body === "string") return body;
  if (!hasBody(req) || headers["content-length"] === "0") return {};
  throw new Error("the body was read before it came to the chat, and req.body does not contain it");
}

async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  // A function, because most bodies need no error, and a stack trace takes time.
  const tooLarge = () =>
    new HttpError(413, "too_large", `A body has at most ${limit} bytes.`, { Connection: "close" });
  const length = Number(req.headers["content-length"] ?? limit);
  if (length > MAX_DISCARDED_BYTES) throw tooLarge();
  // One buffer, because in a list of chunks a chunk of one byte would use two hundred bytes.
  const body = Buffer.allocUnsafe(length > limit ? 0 : length);
  let bytes = 0;
  // Without this option, the end of the loop would close the connection before the reply.
  const chunks: AsyncIterable<Buffer> = req.iterator({ destroyOnReturn: false });
  try {
    for await (const chunk of chunks) {
      if (bytes + chunk.length <= body.length) chunk.copy(body, bytes);
      bytes += chunk.length;
      if (bytes > MAX_DISCARDED_BYTES) break;
    }
  } catch {
    throw INCOMPLETE;
  }
  if (bytes > limit) throw tooLarge();
  return body.subarray(0, bytes);
}

/** Parses a query or a form body. Throws a 400 if its percent-encoding or UTF-8 is malformed. */
export function parseForm(text: string): Fields {
  orThrow(() => decodeURIComponent(text), BAD_TEXT);
  // Reversed, because a `Map` keeps the last of several fields with one name.
  const fields = new Map([...new URLSearchParams(text)].reverse());
  // Copies, because a slice would keep the whole text in memory.
  for (const [name, value] of fields) fields.set(name, Buffer.from(value).toString());
  return fields;
}

/** Returns the members of a parsed JSON value as fields. Throws a 400 unless it is an object of texts and numbers. */
function toFields(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw BAD_JSON;
  const members = Object.entries(value);
  if (members.some(([, member]) => typeof member !== "string" && !Number.isFinite(member))) throw BAD_JSON;
  return new Map(members.map(([name, member]) => [name, `${member}`]));
}

/** Returns the result of `parse`, or throws `error` if that throws. */
export function orThrow<T>(parse: () => T, error: HttpError): T {
  try {
    return parse();
  } catch {
    throw error;
  }
}
