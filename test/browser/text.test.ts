/** The room in browsers that show text and know no scripts: w3m, lynx, links2 and ELinks. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { start } from "../wire/chat.js";
import { Person, texts } from "../wire/person.js";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdline-"));
  // From the name to the button; in the room, past two links to the log-out; then, at the button, out of lynx.
  const down = "Down Arrow";
  const keys = ["A", "n", "n", down, "^J", down, down, "^J", down, "q", "y"];
  await writeFile(join(folder, "keys"), keys.map((key) => `key ${key}\n`).join(""));
  await writeFile(join(folder, "editor"), "#!/bin/sh\nprintf 'one\\ntwo\\n' > $1\n", { mode: 0o755 });
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs a command of the shell in an empty home and returns its output. */
async function run(command: string): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: folder, EDITOR: "./editor", TERM: "xterm" };
  // A program that waits for a key must not outlive its test.
  const options = { env, cwd: folder, timeout: 60_000 };
  const { stdout } = await promisify(execFile)("sh", ["-c", command], options);
  return stdout;
}

test.each(["w3m", "lynx", "links2", "elinks"])(
  "%s shows the pages as text, and nothing of their head",
  async (browser) => {
    const { url, chat } = await start({ identify: () => "Ann" });
    await chat.post({ user: "Ben", text: "the first line\nand the second" });
    const room = await run(`${browser} -dump ${url}/chatroom/Ann/`);
    expect(room).toMatch(/Ben \d?\d:\d\d\s+the first line\s+and the second/);
    expect(room).toMatch(/Send/);
    const { url: open } = await start();
    const login = await run(`${browser} -dump ${open}/login`);
    expect(login).toMatch(/Your name/);
    expect(room + login).not.toMatch(/client\/|modulepreload|\{/);
  },
);

/** Runs a browser in a terminal, which both want, and returns what it has asked for. */
async function visit(browser: string, keys = "") {
  const running = await start();
  const requests: string[] = [];
  running.server.on("request", ({ method, url }) => requests.push(`${method} ${url}`));
  await run(`printf '${keys}' | script -qec '${browser} ${running.url}/login' /dev/null`);
  expect(requests.splice(0, 3)).toEqual(["GET /login", "POST /login?page", "GET /chatroom/Ann/"]);
  return { ...running, requests };
}

test("lynx logs in and out", async () => {
  const { requests, chat } = await visit("lynx -nopause -accept_all_cookies -cmd_script=keys");
  expect(requests).toEqual(["POST /logout?page", "GET /login"]);
  expect(chat.present).toEqual([]);
});

test("w3m logs in and posts a text of two lines, which it takes from an editor", async () => {
  // The name, in a line of its own, and the button; back from the end to "Message", the box and the button; out of w3m.
  const { requests, url } = await visit("w3m", "\\t\\rAnn\\r\\t\\rG?Message\\r\\t\\r\\t\\rQ");
  expect(requests).toEqual(["POST /put_post/Ann?page", "GET /chatroom/Ann/"]);
  const ben = await Person.login(url, "Ben");
  expect(texts(await ben.batch("since=0&wait=0"))).toEqual(["one\ntwo"]);
  ben.close();
});
