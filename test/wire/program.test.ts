import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ask, Person, texts } from "./person.js";
import { dial } from "./raw.js";
import { runWith, startServer, startServerWith } from "./server.js";

/** Runs the program until it ends. Returns its status and its output. */
async function outcome(env: NodeJS.ProcessEnv, ...flags: string[]) {
  const { exited, out } = runWith(env, ...flags);
  return [await exited, out.stdout, out.stderr] as const;
}

describe.concurrent("the program at its start", () => {
  test("prints the address and the place of the messages, and nothing else", async () => {
    const server = await startServer();
    const ann = await Person.login(server.url, "ann");
    await ann.post("hello");
    expect(await server.stop()).toBe(0);
    expect(server.stdout()).toBe(`holdline is listening on ${server.url}\nmessages are kept in memory\n`);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(server.stderr()).toBe("");
  });

  test("prints an IPv6 address in brackets", async () => {
    const server = await startServer("--host", "::1");
    expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    await server.stop();
  });

  test("names a folder for messages in the second line", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), "holdline-")), "data");
    const server = await startServer("--data", folder);
    expect(await server.stop()).toBe(0);
    expect(server.stdout()).toContain(`\nmessages are kept in ${folder}\n`);
    await rm(dirname(folder), { recursive: true });
  });

  test("reports a port in use in one line and ends with 1", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const line = `holdline: cannot listen on 127.0.0.1:${port}: the port is in use; choose another one with --port\n`;
    expect(await outcome({}, "--port", `${port}`, "--data", "none")).toEqual([1, "", line]);
    other.close();
  });

  test.each(["/proc/none", "/proc/none/of/it", "/dev/null", "/dev/null/below"])(
    "reports in one line that it cannot keep messages in %s and what to do, and ends with 1",
    async (folder) => {
      const [status, stdout, stderr] = await outcome({}, "--port", "0", "--data", folder);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(
        /^holdline: cannot keep messages in .*; choose another folder with --data, or --data none\n$/,
      );
    },
  );

  test.each(["--help", "-h"])("%s prints one line for each flag, with its default", async (flag) => {
    const [status, stdout, stderr] = await outcome({}, flag);
    expect([status, stderr]).toEqual([0, ""]);
    const lines = stdout.split("\n");
    const flags = lines.map((line) => /^ {2}(-.*?) {2,}.*?(?:\(default ([^,)]*).*)?$/.exec(line)?.slice(1));
    expect(Object.fromEntries(flags.flatMap((flag) => (flag ? [flag] : [])))).toStrictEqual({
      ...{ "--host HOST": "127.0.0.1", "--port PORT": "5000", "--data DIR": "data", "--redis URL": "none" },
      ...{ "--title TEXT": "holdline", "--backlog N": "1000", "--max-waiters N": "10000" },
      ...{ "--post-rate N": "5", "--login-rate N": "5", "--metrics": "off", "--trust-proxy": "off" },
      ...{ "-h, --help": undefined, "-v, --version": undefined },
    });
    for (const line of lines) expect(line.length).toBeLessThan(100);
  });

  test.each(["--version", "-v"])("%s prints the version of the package", async (flag) => {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await outcome({}, flag)).toEqual([0, `${version}\n`, ""]);
  });

  const withDash = (flag: string) => `To specify an option argument starting with a dash use '${flag}=-XYZ'`;
  const range = (flag: string, text: string) => `${flag} must be a number from ${text}`;

  test.each([
    ["an unknown flag", ["--colour"], "Unknown option '--colour'"],
    ["an unknown short flag", ["-x"], "Unknown option '-x'"],
    ["a property of every object", ["--constructor"], "Unknown option '--constructor'"],
    ["a stray argument", ["5000"], "unexpected argument: 5000"],
    ["a stray argument after two dashes", ["--", "--port"], "unexpected argument: --port"],
    ["a URL without its password", ["redis://:hunter2@host"], "unexpected argument: redis://...@host"],
    ["a port that is no number", ["--port", "http"], range("--port", '0 to 65535, not "http"')],
    ["a port out of range", ["--port", "65536"], range("--port", '0 to 65535, not "65536"')],
    ["a negative port", ["--port=-1"], range("--port", '0 to 65535, not "-1"')],
    ["an empty host", ["--host", ""], "--host must not be empty"],
    ["an empty folder", ["--data="], "--data must not be empty"],
    ["a title of white space", ["--title", " "], "--title must not be empty"],
    ["a long title", ["--title", "x".repeat(101)], "--title must have at most 100 characters"],
    ["no messages at all", ["--backlog", "0"], range("--backlog", '1 to 1000000, not "0"')],
    ["half a poll", ["--max-waiters", "0.5"], range("--max-waiters", '1 to 1000000, not "0.5"')],
    [
      "a flag without its value at the end",
      ["--max-waiters"],
      "Option '--max-waiters <value>' argument missing",
    ],
    ["a port that begins with a dash", ["--port", "-1"], withDash("--port")],
    ["a title that begins with a dash", ["--title", "-1"], withDash("--title")],
    ["a flag without its value before another", ["--data", "--metrics"], withDash("--data")],
    ["a value for a flag that takes none", ["--metrics=yes"], "Option '--metrics' does not take an argument"],
    ["two stores", ["--data", "x", "--redis", "y"], "--data and --redis exclude each other; choose one"],
  ])("refuses %s in one line and ends with 2", async (_, flags, message) => {
    const line = `holdline: ${message}; holdline --help lists all flags\n`;
    expect(await outcome({}, ...flags)).toEqual([2, "", line]);
  });

  test.each<[string, NodeJS.ProcessEnv, string[]]>([
    ["by a flag", {}, ["--host", "192.0.2.1", "--port", "0"]],
    ["by the variables HOST and PORT", { HOST: "192.0.2.1", PORT: "5" }, []],
  ])("reports a foreign address, given %s, and ends with 1", async (_, env, flags) => {
    const [status, stdout, stderr] = await outcome(env, ...flags, "--data", "none");
    expect([status, stdout]).toEqual([1, ""]);
    const reason = "it is not an address of this machine; choose another one with --host";
    expect(stderr).toMatch(new RegExp(`^holdline: cannot listen on 192\\.0\\.2\\.1:\\d: ${reason}\n$`));
  });

  test("prefers a flag to its variable, and an empty variable counts for nothing", async () => {
    const server = await startServerWith({ HOST: "", PORT: "http" }, "--port", "0");
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await server.stop()).toBe(0);
  });

  test("names a wrong variable and ends with 2", async () => {
    const [status, , stderr] = await outcome({ PORT: "http" });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^holdline: PORT must be a number from 0 to 65535, not "http";.*\n$/);
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

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s answers every held poll, closes every connection and ends the program with 0",
  async (signal) => {
    const server = await startServer("--max-waiters", "3");
    const ann = await Person.login(server.url, "ann");
    // One idle connection, and one without a request.
    await ann.end();
    const silent = dial(server.port);
    await once(silent.socket, "connect");
    const agent = new http.Agent({ keepAlive: true });
    const polls = ["client=a", "client=b"].map((client) =>
      ann.hold(`since=now&wait=60&${client}`, { agent }),
    );
    const plain = ann.hold("", { agent });
    await ann.full();
    const exited = server.stop(signal);
    for (const { headers, body } of await Promise.all(polls)) {
      expect(headers.connection).toBe("close");
      expect(JSON.parse(body)).toMatchObject({ messages: [], retry: expect.any(Number) });
    }
    expect(await plain).toMatchObject({ status: 200, body: '""\n', headers: { connection: "close" } });
    await silent.closed;
    expect(await exited).toBe(0);
    expect(server.stderr()).toBe("");
  },
);
