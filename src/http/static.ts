/**
 * Static files, from memory: read, hashed and compressed once at the start. What was not there then is never served,
 * so no path can lead out of the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
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

/** Content codings we make, the one we would rather send first. */
const CODINGS = ["br", "gzip"] as const;

/** A file as it is served. */
export interface StaticFile {
  /** Its place below the folder, with `/` between names and none in front. */
  readonly path: string;
  readonly serve: (request: Request) => Reply;
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

function serveBytes(bytes: Buffer, type: string): (request: Request) => Reply {
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  // Small files gain nothing.
  const bodies = new Map<string, Buffer>([["identity", bytes]]);
  if (bytes.length > 256)
    bodies.set("br", brotliCompressSync(bytes)).set("gzip", gzipSync(bytes, { level: 9 }));
  return (request) => {
    const accepted = wishes(request.req.headers["accept-encoding"] ?? "").filter(({ q }) => q !== 0);
    const coding =
      CODINGS.find((name) => bodies.has(name) && accepted.some(({ value }) => value === name)) ?? "identity";
    // A strong tag is of one representation, so each coding has its own (RFC 9110, 8.8.3.3).
    const etag = `"${hash}-${coding}"`;
    const headers = {
      "Cache-Control": "no-cache",
      ETag: etag,
      Vary: "Accept-Encoding",
      "X-Content-Type-Options": "nosniff",
    };
    if (isFresh(request.req.headers["if-none-match"], etag)) return { status: 304, headers };
    const body = bodies.get(coding) ?? bytes;
    const coded = coding === "identity" ? {} : { "Content-Encoding": coding };
    return { status: 200, headers: { ...headers, ...coded, "Content-Type": type }, body };
  };
}

/** RFC 9110, 13.1.2: weak comparison, and `*` is any. */
function isFresh(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
