/**
 * Static files, from memory. They are read at the start, and compressed at the first request that accepts gzip. A file that was
 * not there at the start is never served, so no path leads out of the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { quality } from "./accept.js";
import type { Handler } from "./router.js";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

const HEADERS = { "Cache-Control": "no-cache", Vary: "Accept-Encoding", "X-Content-Type-Options": "nosniff" };

/**
 * Reads the files of a folder, and returns their names and handlers. Folders, links (which could lead out of the folder) and
 * files of unknown types are left out.
 */
export function readStatic(folder: string): [name: string, handler: Handler][] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) return [];
    return [[entry.name, serveBytes(readFileSync(join(folder, entry.name)), type)]];
  });
}

function serveBytes(bytes: Buffer, type: string): Handler {
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  let zipped: Promise<Buffer> | undefined;
  return async ({ req }) => {
    const isZipped = quality(req.headers["accept-encoding"] ?? "", "gzip") > 0;
    // A strong tag identifies one representation, so the compressed one has its own (RFC 9110, section 8.8.3.3).
    const etag = `"${hash}${isZipped ? "-gzip" : ""}"`;
    const headers = { ...HEADERS, "Content-Type": type, ETag: etag };
    // A proxy may have made the tag weak, and the caller may know several.
    if (req.headers["if-none-match"]?.includes(etag)) return { status: 304, headers };
    if (!isZipped) return { status: 200, headers, body: bytes };
    // The synchronous function would block the event loop.
    zipped ??= promisify(gzip)(bytes);
    return { status: 200, headers: { ...headers, "Content-Encoding": "gzip" }, body: await zipped };
  };
}
