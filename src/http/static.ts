/**
 * Static files, from memory: read and hashed at the start, and compressed when they are first asked for. A file that was
 * not there at the start is never served, so no path can lead out of the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { wishes } from "./accept.js";
import type { Reply } from "./reply.js";
import type { Request } from "./request.js";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

/** Content codings, the preferred one first. Not the synchronous functions, which blocked the event loop for 140 ms. */
const CODINGS: readonly Coding[] = [
  ["br", (bytes) => promisify(brotliCompress)(bytes)],
  ["gzip", (bytes) => promisify(gzip)(bytes, { level: 9 })],
];
const IDENTITY: Coding = ["identity", async (bytes) => bytes];
type Coding = readonly [name: string, encode: (bytes: Buffer) => Promise<Buffer>];

/** The size up to which a file is not compressed, in bytes. */
const SMALL_BYTES = 256;

/** A file as it is served. */
export interface StaticFile {
  /** Its place below the folder, with `/` between names and none in front. */
  readonly path: string;
  readonly serve: (request: Request) => Promise<Reply>;
}

/** Reads the files of a folder and below, of the types that we know; others are left out. */
export function readStatic(folder: string): StaticFile[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry): StaticFile[] => {
    const file = join(folder, entry.name);
    // A link is neither folder nor file here: it could lead out.
    if (entry.isDirectory()) {
      return readStatic(file).map(({ path, serve }) => ({ path: `${entry.name}/${path}`, serve }));
    }
    const type = TYPES[extname(entry.name)];
    return entry.isFile() && type !== undefined
      ? [{ path: entry.name, serve: serveBytes(readFileSync(file), type) }]
      : [];
  });
}

function serveBytes(bytes: Buffer, type: string): StaticFile["serve"] {
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  const codings = bytes.length > SMALL_BYTES ? CODINGS : [];
  const bodies = new Map<string, Promise<Buffer>>();
  return async (request) => {
    const accepted = wishes(request.req.headers["accept-encoding"] ?? "").filter(({ q }) => q !== 0);
    const [coding, encode] =
      codings.find(([name]) => accepted.some(({ value }) => value === name)) ?? IDENTITY;
    // A strong tag is of one representation, so each coding has its own (RFC 9110, 8.8.3.3).
    const etag = `"${hash}-${coding}"`;
    const headers = { "Cache-Control": "no-cache", ETag: etag, Vary: "Accept-Encoding" };
    if (isFresh(request.req.headers["if-none-match"], etag)) return { status: 304, headers };
    const body = bodies.get(coding) ?? encode(bytes);
    bodies.set(coding, body);
    const coded = coding === "identity" ? {} : { "Content-Encoding": coding };
    return { status: 200, headers: { ...headers, ...coded, "Content-Type": type }, body: await body };
  };
}

/** RFC 9110, 13.1.2: weak comparison, and `*` is any. */
function isFresh(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
