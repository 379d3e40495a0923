/** The room in browsers that show text and know no scripts: w3m, lynx, links2 and ELinks. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Running, startChat } from "../wire/chat.js";
import { cookieAt, Person } from "../wire/person.js";

const BROWSERS = ["w3m", "lynx", "links2", "elinks"];

let running: Running;
let folder: string;

beforeAll(async () => {
  [running, folder] = await Promise.all([startChat(), mkdtemp(join(tmpdir(), "holdline-"))]);
});
afterAll(async () => {
  await running.close();
  await rm(folder, { recursive: true });
});

/** Runs a program in an empty home and returns its output. */
async function run(program: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: folder, TERM: "xterm" };
  // A program that waits for a key must not outlive its test.
  const { stdout } = await promisify(execFile)(program, args, { env, timeout: 60_000 });
  return stdout;
}

test.each(BROWSERS)("%s shows the log-in page as text, and nothing of its head", async (browser) => {
  const page = await run(browser, "-dump", `${running.url}/login`);
  expect(page).toMatch(/Your name/);
  expect(page).not.toMatch(/client|modulepreload|\{/);
});

test.each(BROWSERS)("%s shows the room as text, and nothing of its head", async (browser) => {
  const chat = await startChat({ identify: () => "Ann" });
  await chat.chat.post({ user: "Ben", text: "the first line\nand the second" });
  const page = await run(browser, "-dump", `${chat.url}/chatroom/Ann/`);
  expect(page).toMatch(/Ben \d?\d:\d\d\s+the first line\s+and the second/);
  expect(page).toMatch(/Send/);
  expect(page).not.toMatch(/client\/|modulepreload|\{/);
  await chat.close();
});

test("lynx logs in and out", async () => {
  const down = "Down Arrow";
  // From the name to the button; in the room, past two links to the log-out; then, at the button, out of lynx.
  const keys = ["A", "n", "n", down, "^J", down, down, "^J", down, "q", "y"];
  const script = join(folder, "keys");
  await writeFile(script, keys.map((key) => `key ${key}\n`).join(""));
  const requests: string[] = [];
  running.server.on("request", ({ method, url }) => requests.push(`${method} ${url}`));
  // lynx wants a terminal.
  const lynx = `lynx -accept_all_cookies -cmd_script=${script} ${running.url}/login`;
  await run("script", "-qec", lynx, "/dev/null");
  expect(requests).toEqual([
    "GET /login",
    "POST /login?page",
    "GET /chatroom/Ann/",
    "POST /logout?page",
    "GET /login",
  ]);
  expect(running.chat.present).toEqual([]);
});

test("w3m shows the room to a session, and posts to it", async () => {
  const eve = await Person.login(running.url, "Eve");
  const w3m = (...rest: string[]) =>
    run("w3m", "-dump", "-cols", "200", "-header", `Cookie: ${cookieAt(running.url, eve)}`, ...rest);
  await eve.post("the first line\nand the second");
  const room = await w3m(`${running.url}/chatroom/Eve/`);
  for (const line of [
    /Eve \d?\d:\d\d/,
    /the first line\n *and the second/,
    /Refresh now/,
    /Log out/,
    /Message.* Send/,
  ])
    expect(room).toMatch(line);
  await writeFile(join(folder, "form"), "message=from+w3m");
  // It is led on to a page, there without our cookie: that is given for one request.
  expect(await w3m("-post", join(folder, "form"), `${running.url}/put_post/Eve`)).toMatch(/^holdline\n/);
  expect(await w3m(`${running.url}/chatroom/Eve/`)).toMatch(/from w3m\n/);
  eve.close();
});
