/** Static files over real sockets: which files are served, and how. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readStatic } from "../../src/http/static.js";
import { get, hear } from "../wire/raw.js";
import { listenRouter } from "./listen.js";

const STYLE = `body { color: black } /* ${"a long comment ".repeat(100)} */`;
const ICON = Buffer.from([0x89, 0x50, 0, 255]);
let top: string;

beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), "holdline-static-"));
  const write = (path: string, text: string | Buffer) => writeFileSync(join(top, path), text);
  for (const folder of ["files", "files/sub", "files-sibling", "outside"]) mkdirSync(join(top, folder));
  write("files/chat.css", STYLE);
  write("files/sub/a b.js", "script");
  write("files/icon.png", ICON);
  write("files/字.svg", "<svg/>");
  write("files/notes.md", "of a type that is not served");
  write("files/.css", "hidden");
  write("files-sibling/secret.css", "secret");
  write("outside/secret.css", "secret");
  symlinkSync("../outside/secret.css", join(top, "files/link.css"));
  symlinkSync("../outside", join(top, "files/folder-link"));
  symlinkSync(".", join(top, "files/loop"));
  symlinkSync("nowhere.css", join(top, "files/dangling.css"));
});

afterAll(() => {
  rmSync(top, { recursive: true });
});

/** Serves the files. Returns the port. */
async function serve(): Promise<number> {
  const handlers = readStatic(join(top, "files")).map(([path, handler]) => [`GET /files/${path}`, handler]);
  return (await listenRouter(Object.fromEntries(handlers))).port;
}

/** Gets a file, without its coding. */
async function fetchFile(path: string, headers = {}) {
  const reply = await fetch(`http://127.0.0.1:${await serve()}/files/${path}`, { headers });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
}

test("the files of known types are served, and no links", () => {
  const paths = readStatic(join(top, "files")).map(([path]) => path);
  expect(paths.sort()).toEqual(["chat.css", "icon.png", "sub/a b.js", "字.svg"].sort());
});

test("a path out of the folder leads to no file", async () => {
  const port = await serve();
  for (const path of [
    ...["../outside/secret.css", "..%2foutside%2fsecret.css", "%2e%2e/outside/secret.css"],
    ...["..\\outside\\secret.css", "..%5coutside%5csecret.css", "sub/../../outside/secret.css"],
    ...["link.css", "folder-link/secret.css", "loop/chat.css", "-sibling/secret.css", "chat.css%00"],
    ...["/chat.css", "%252e%252e/outside/secret.css", "", "sub", ".css", "notes.md"],
  ]) {
    const [status] = (await hear(port, get(`/files/${path}`, "Connection: close"))).statuses;
    expect([400, 404], path).toContain(status);
  }
});

test.each([
  ["chat.css", "text/css; charset=utf-8", STYLE],
  ["icon.png", "image/png", `${ICON}`],
  ["sub/a%20b.js", "text/javascript; charset=utf-8", "script"],
  ["%E5%AD%97.svg", "image/svg+xml", "<svg/>"],
])("the file %s is served with its type", async (path, type, expected) => {
  const { status, headers, text } = await fetchFile(path);
  expect([status, text, headers.get("content-type")]).toEqual([200, expected, type]);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
});

test.each([
  ["gzip, deflate, br", "br"],
  ["GZIP;q=0.5", "gzip"],
  ["br;q=0, gzip", "gzip"],
  ["br;q=0.000, gzip; q=0", null],
  ["brotli, xgzip, gzipx", null],
])("a file for Accept-Encoding %j has the coding %s", async (accepted, coding) => {
  const { headers, text } = await fetchFile("chat.css", { "Accept-Encoding": accepted });
  expect([headers.get("content-encoding"), headers.get("vary"), text]).toEqual([
    coding,
    "Accept-Encoding",
    STYLE,
  ]);
});
