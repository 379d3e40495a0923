/**
 * Static files, from memory. They are read at the start, and compressed at the first request that accepts a coding. A file that
 * was not there at the start is never served, so no path leads out of the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { quality } from "./accept.js";
import type { Request } from "./request.js";
import type { HttpResponse } from "./response.js";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
};

type Coding = readonly [name: string, encode: (bytes: Buffer) => Promise<Buffer>];
/** Content codings, the preferred one first. The synchronous functions would block the event loop. */
const CODINGS: readonly Coding[] = [
  ["br", (bytes) => promisify(brotliCompress)(bytes)],
  ["gzip", (bytes) => promisify(gzip)(bytes, { level: 9 })],
];
const IDENTITY: Coding = ["identity", async (bytes) => bytes];

/** A file as it is served. */
export interface StaticFile {
  /** Its path below the folder, with `/` between names and none in front. */
  readonly path: string;
  readonly serve: (request: Request) => Promise<HttpResponse>;
}

/** Reads the files of a folder and below. Files of unknown types are left out. */
export function readStatic(folder: string): StaticFile[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true }).flatMap((entry) => {
    const type = TYPES[extname(entry.name)];
    // A symbolic link is no file here, because it could lead out of the folder.
    if (!entry.isFile() || type === undefined) return [];
    const file = join(entry.parentPath, entry.name);
    const path = relative(folder, file).replaceAll(sep, "/");
    return [{ path, serve: serveBytes(readFileSync(file), type) }];
  });
}

function serveBytes(bytes: Buffer, type: string): StaticFile["serve"] {
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  const bodies = new Map<string, Promise<Buffer>>();
  return async ({ req }) => {
    const accepted = req.headers["accept-encoding"] ?? "";
    const [coding, encode] = CODINGS.find(([name]) => quality(accepted, name) > 0) ?? IDENTITY;
    // A strong tag identifies one representation, so each coding has its own (RFC 9110, section 8.8.3.3).
    const etag = `"${hash}-${coding}"`;
    const headers = {
      "Cache-Control": "no-cache",
      ETag: etag,
      Vary: "Accept-Encoding",
      "X-Content-Type-Options": "nosniff",
    };
    if (isFresh(req.headers["if-none-match"] ?? "", etag)) return { status: 304, headers };
    const body = bodies.get(coding) ?? encode(bytes);
    bodies.set(coding, body);
    const coded = coding === "identity" ? {} : { "Content-Encoding": coding };
    return { status: 200, headers: { ...headers, ...coded, "Content-Type": type }, body: await body };
  };
}

/** Compares the tags weakly; `*` is any (RFC 9110, section 13.1.2). */
function isFresh(ifNoneMatch: string, etag: string): boolean {
  const tags = ifNoneMatch.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes(etag) || ifNoneMatch.trim() === "*";
}
