import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ask, Person, texts } from "./person.js";
import { runWith, startServer, startServerWith } from "./server.js";

/** Runs the program until it ends. Returns its status and its output. */
async function outcome(env: NodeJS.ProcessEnv, ...flags: string[]) {
  const { exited, out } = runWith(env, ...flags);
  return [await exited, out.stdout, out.stderr] as const;
}

const withDash = (flag: string) => `To specify an option argument starting with a dash use '${flag}=-XYZ'`;
const PORT = "--port, or the variable PORT, must be a whole number from 0 to 65535";

describe.concurrent("the program at its start", () => {
  test("prints the address and the place of the messages, and nothing else", async () => {
    // A flag wins over its variable, and an empty variable counts for nothing.
    const server = await startServerWith({ HOST: "", PORT: "http" }, "--port", "0");
    await (await Person.login(server.url, "ann")).post("hello");
    expect(await server.stop()).toBe(0);
    expect(server.stdout()).toBe(`holdline is listening on ${server.url}\nmessages are kept in memory\n`);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(server.stderr()).toBe("");
  });

  test("prints an IPv6 address in brackets, and the folder of the messages", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), "holdline-")), "data");
    const server = await startServer("--host", "::1", "--data", folder);
    expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await server.stop()).toBe(0);
    expect(server.stdout()).toContain(`\nmessages are kept in ${folder}\n`);
    await rm(dirname(folder), { recursive: true });
  });

  test("reports a port in use in one line and ends with 1", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const reason = `listen EADDRINUSE: address already in use 127.0.0.1:${port}`;
    const line = `holdline: ${reason}; choose another address with --host or --port\n`;
    expect(await outcome({}, "--port", `${port}`, "--data", "none")).toEqual([1, "", line]);
    other.close();
  });

  const NO_PLACE = /^holdline: cannot keep messages in .*; choose another place with --data or --redis\n$/;
  const NO_ADDRESS = /^holdline: listen E.* 192\.0\.2\.1.*; choose another address with --host or --port\n$/;
  test.each<[string, number, RegExp, NodeJS.ProcessEnv, ...string[]]>([
    ["a file of /proc is the folder", 1, NO_PLACE, {}, "--data", "/proc/none"],
    ["the folder is below a file of /proc", 1, NO_PLACE, {}, "--data", "/proc/none/of/it"],
    ["a device is the folder", 1, NO_PLACE, {}, "--data", "/dev/null"],
    ["the folder is below a device", 1, NO_PLACE, {}, "--data", "/dev/null/below"],
    ["a flag has a foreign address", 1, NO_ADDRESS, {}, "--data", "none", "--host", "192.0.2.1"],
    ["a variable has a foreign address", 1, NO_ADDRESS, { HOST: "192.0.2.1" }, "--data", "none"],
    ["the variable PORT is no number", 2, new RegExp(`^holdline: ${PORT};.*\n$`), { PORT: "http" }],
  ])("ends with one line if %s", async (_, status, line, env, ...flags) => {
    expect(await outcome({ PORT: "0", ...env }, ...flags)).toEqual([status, "", expect.stringMatching(line)]);
  });

  test("prints one line for each flag, with its default, for --help and -h", async () => {
    const [status, stdout, stderr] = await outcome({}, "--help");
    expect([status, stderr]).toEqual([0, ""]);
    expect(await outcome({}, "-h")).toEqual([0, stdout, ""]);
    const lines = stdout.split("\n");
    const flags = lines.map((line) => /^ {2}(-.*?) {2,}.*?(?:\(default ([^,)]*).*)?$/.exec(line)?.slice(1));
    expect(Object.fromEntries(flags.flatMap((flag) => (flag ? [flag] : [])))).toStrictEqual({
      ...{
        "--host HOST": "127.0.0.1",
        "--port PORT": "5000",
        "--data DIR": "data",
        "--redis URL": undefined,
      },
      ...{ "--title TEXT": "holdline", "--backlog N": "1000", "--max-waiters N": "10000" },
      ...{ "--post-rate N": "5", "--login-rate N": "5", "--metrics": "off", "--trust-proxy": "off" },
      ...{ "-h, --help": undefined, "-v, --version": undefined },
    });
    for (const line of lines) expect(line.length).toBeLessThan(100);
  });

  test("prints the version of the package for --version and -v", async () => {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    for (const flag of ["--version", "-v"]) expect(await outcome({}, flag)).toEqual([0, `${version}\n`, ""]);
  });

  test.each<[message: string, ...flags: string[]]>([
    ["Unknown option '--colour'", "--colour"],
    ["unexpected argument: 5000", "5000"],
    // Without its password.
    ["unexpected argument: redis://...@host", "redis://:hunter2@host"],
    ...["http", "65536", "0x10"].map((port): [string, ...string[]] => [PORT, "--port", port]),
    ["--host must not be empty", "--host", ""],
    ["--title must not be empty", "--title", " "],
    ["--title must have at most 100 characters", "--title", "x".repeat(101)],
    ["--backlog must be a whole number from 1 to 1000000", "--backlog", "0"],
    ["--post-rate must be a number from 0 to 1000000", "--post-rate", "fast"],
    ["Option '--max-waiters <value>' argument missing", "--max-waiters"],
    [withDash("--port"), "--port", "-1"],
    [withDash("--data"), "--data", "--metrics"],
    ["Option '--metrics' does not take an argument", "--metrics=yes"],
    ["--data and --redis exclude each other; choose one", "--data", "x", "--redis", "y"],
  ])("ends with 2 and says: %s", async (message, ...flags) => {
    const line = `holdline: ${message}; holdline --help lists all flags\n`;
    expect(await outcome({}, ...flags)).toEqual([2, "", line]);
  });

  test("keeps as many messages as --backlog says, and shows the title of --title", async () => {
    const server = await startServer("--backlog", "3", "--title", "Tea and cake");
    expect((await ask(`${server.url}/login`)).body).toContain("<title>Tea and cake");
    const ann = await Person.login(server.url, "ann");
    await ann.end();
    for (const text of ["1", "2", "3", "4"]) await ann.post(text);
    expect(texts(await ann.batch("since=0"))).toEqual(["2", "3", "4"]);
    await server.stop();
  });
});

test("a server with closed standard error continues, also when it logs", async () => {
  const parent = await mkdtemp(join(tmpdir(), "holdline-"));
  const folder = join(parent, "data");
  const server = await startServer("--data", folder);
  const ann = await Person.login(server.url, "ann");
  server.closeOutput();
  await rm(folder, { recursive: true });
  await writeFile(folder, "in the way");
  // The store logs it on standard error.
  expect((await ann.say("lost")).status).toBe(503);
  await rm(folder);
  await mkdir(folder);
  while ((await ann.say("kept")).status !== 200);
  expect(await server.stop()).toBe(0);
  await rm(parent, { recursive: true });
});
