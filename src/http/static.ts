/**
 * Static files, from memory. They are read at the start, and compressed at the first request that accepts a coding. A file that
 * was not there at the start is never served, so no path leads out of the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { quality } from "./accept.js";
import type { Handler } from "./router.js";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
};

/** Content codings, the preferred one first. The synchronous functions would block the event loop. */
const CODINGS: Readonly<Record<string, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) => promisify(brotliCompress)(bytes),
  gzip: (bytes) => promisify(gzip)(bytes),
};

/**
 * Reads the files of a folder and below, and returns their paths below it, with `/` between names and none in front, and
 * their handlers. Files of unknown types are left out.
 */
export function readStatic(folder: string, prefix = ""): [path: string, handler: Handler][] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const [file, path] = [join(folder, entry.name), prefix + entry.name];
    // A symbolic link is skipped, because it could lead out of the folder. With `recursive`, Node 26 follows it.
    if (entry.isDirectory()) return readStatic(file, `${path}/`);
    const type = TYPES[extname(entry.name)];
    return entry.isFile() && type !== undefined ? [[path, serveBytes(readFileSync(file), type)]] : [];
  });
}

function serveBytes(bytes: Buffer, type: string): Handler {
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  const encoded = new Map<string, Promise<Buffer>>();
  return async ({ req }) => {
    const accepted = req.headers["accept-encoding"] ?? "";
    const [coding, encode] = Object.entries(CODINGS).find(([name]) => quality(accepted, name) > 0) ?? [];
    // A strong tag identifies one representation, so each coding has its own (RFC 9110, section 8.8.3.3).
    const etag = `"${hash}-${coding}"`;
    const headers = {
      "Cache-Control": "no-cache",
      "Content-Type": type,
      ETag: etag,
      Vary: "Accept-Encoding",
      "X-Content-Type-Options": "nosniff",
    };
    // A proxy may have made the tag weak, and the caller may know several.
    if (req.headers["if-none-match"]?.includes(etag)) return { status: 304, headers };
    if (coding === undefined || encode === undefined) return { status: 200, headers, body: bytes };
    const body = encoded.get(coding) ?? encode(bytes);
    encoded.set(coding, body);
    return { status: 200, headers: { ...headers, "Content-Encoding": coding }, body: await body };
  };
}
