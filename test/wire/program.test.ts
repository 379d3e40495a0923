import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ask, type Batch, Person } from "./person.js";
import { run, runWith, startServer, startServerWith } from "./server.js";

describe("the start", () => {
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

  test("reports a port in use and ends with 1", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const { exited, out } = run("--port", `${port}`, "--data", "none");
    expect(await exited).toBe(1);
    expect(out).toEqual({
      stdout: "",
      stderr: `holdline: port ${port} on 127.0.0.1 is in use; choose another one with --port\n`,
    });
    other.close();
  });

  test("reports a foreign host address and ends with 1", async () => {
    const { exited, out } = run("--host", "192.0.2.1", "--port", "0", "--data", "none");
    expect(await exited).toBe(1);
    expect(out.stderr).toMatch(/^holdline: 192\.0\.2\.1 is not an address of this machine.*\n$/);
  });

  test.each(["/proc/none", "/proc/none/of/it", "/dev/null", "/dev/null/below"])(
    "says that it cannot keep messages in %s and what to do, in one line, and ends with 1",
    async (folder) => {
      const { exited, out } = run("--port", "0", "--data", folder);
      expect(await exited).toBe(1);
      expect(out.stdout).toBe("");
      expect(out.stderr).toMatch(
        /^holdline: cannot keep messages in .*; choose another folder with --data, or --data none\n$/,
      );
    },
  );

  test("a folder for messages is named in the second line", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), "holdline-")), "data");
    const server = await startServer("--data", folder);
    expect(await server.stop()).toBe(0);
    expect(server.stdout()).toContain(`\nmessages are kept in ${folder}\n`);
    await rm(dirname(folder), { recursive: true });
  });

  test.each(["--help", "-h"])("%s prints one line for each flag, with its default", async (flag) => {
    const { exited, out } = run(flag);
    expect(await exited).toBe(0);
    expect(out.stderr).toBe("");
    const defaults = [
      ["--host HOST", "127.0.0.1"],
      ["--port PORT", "5000"],
      ["--data DIR", "data"],
      ["--title TEXT", "holdline"],
      ["--backlog N", "1000"],
      ["--max-waiters N", "10000"],
      ["--post-rate N", "5"],
      ["--login-rate N", "5"],
    ];
    for (const [name, usual] of defaults) {
      expect(out.stdout).toMatch(new RegExp(`^  ${name} .*\\(default ${usual}[,)]`, "m"));
    }
    for (const name of ["--redis URL", "--metrics", "--trust-proxy", "-h, --help", "-v, --version"]) {
      expect(out.stdout).toContain(`\n  ${name} `);
    }
    for (const line of out.stdout.split("\n")) expect(line.length).toBeLessThan(100);
  });

  test.each(["--version", "-v"])("%s prints the version of the package", async (flag) => {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    const { exited, out } = run(flag);
    expect(await exited).toBe(0);
    expect(out).toEqual({ stdout: `${version}\n`, stderr: "" });
  });

  test.each([
    ["an unknown flag", ["--colour"], "Unknown option '--colour'"],
    ["an unknown short flag", ["-x"], "Unknown option '-x'"],
    [
      "a stray argument",
      ["5000"],
      "Unexpected argument '5000'. This command does not take positional arguments",
    ],
    [
      "a URL without its flag, and does not show the password",
      ["redis://:hunter2@host"],
      "Unexpected argument 'redis://...@host'. This command does not take positional arguments",
    ],
    ["a port that is no number", ["--port", "http"], '--port must be a number from 0 to 65535, not "http"'],
    ["a port out of range", ["--port", "65536"], '--port must be a number from 0 to 65535, not "65536"'],
    ["a negative port", ["--port=-1"], '--port must be a number from 0 to 65535, not "-1"'],
    ["an empty host", ["--host", ""], "--host must not be empty"],
    ["an empty folder", ["--data="], "--data must not be empty"],
    ["a title of white space", ["--title", " "], "--title must not be empty"],
    ["a long title", ["--title", "x".repeat(101)], "--title must have at most 100 characters"],
    ["no messages at all", ["--backlog", "0"], '--backlog must be a number from 1 to 1000000, not "0"'],
    ["half a poll", ["--max-waiters", "0.5"], '--max-waiters must be a number from 1 to 1000000, not "0.5"'],
    [
      "a flag without its value at the end",
      ["--max-waiters"],
      "Option '--max-waiters <value>' argument missing",
    ],
    [
      "a flag without its value before another",
      ["--data", "--metrics"],
      "Option '--data' argument is ambiguous.",
    ],
    ["a value for a flag that takes none", ["--metrics=yes"], "Option '--metrics' does not take an argument"],
    [
      "two stores",
      ["--data", "x", "--redis", "redis://x"],
      "--data and --redis exclude each other; choose one",
    ],
  ])("refuses %s in one line and ends with 2", async (_, flags, message) => {
    const { exited, out } = run(...flags);
    expect(await exited).toBe(2);
    expect(out).toEqual({ stdout: "", stderr: `holdline: ${message}; holdline --help lists all flags\n` });
  });

  test("the variables HOST and PORT stand in for the flags", async () => {
    const { exited, out } = runWith({ HOST: "192.0.2.1", PORT: "5" }, "--data", "none");
    expect(await exited).toBe(1);
    expect(out.stderr).toBe(
      "holdline: 192.0.2.1 is not an address of this machine; choose another one with --host\n",
    );
  });

  test("a flag wins over its variable, and an empty variable counts for nothing", async () => {
    const server = await startServerWith({ HOST: "", PORT: "http" }, "--port", "0");
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await server.stop()).toBe(0);
  });

  test("a wrong variable is named, and the program ends with 2", async () => {
    const { exited, out } = runWith({ PORT: "http" });
    expect(await exited).toBe(2);
    expect(out.stderr).toMatch(/^holdline: PORT must be a number from 0 to 65535, not "http";.*\n$/);
  });

  test("--title is the title of the pages", async () => {
    const server = await startServer("--title", "Tea and cake");
    expect((await ask(`${server.url}/login`)).body).toMatch(/<title>.*Tea and cake.*<\/title>/);
    expect(await server.stop()).toBe(0);
  });

  test("keeps as many messages as --backlog says", async () => {
    const server = await startServer("--backlog", "3");
    const ann = await Person.login(server.url, "ann");
    await ann.batch("since=now&wait=0");
    for (const text of ["1", "2", "3", "4"]) await ann.post(text);
    expect((await ann.batch("since=0")).messages.map((message) => message.text)).toEqual(["2", "3", "4"]);
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

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("answers every held poll, closes every connection and ends with 0", async () => {
    const server = await startServer("--max-waiters", "21");
    const ann = await Person.login(server.url, "ann");
    // One idle connection, and one without a request.
    await ann.batch("since=now&wait=0");
    const silent = connect(server.port, "127.0.0.1");
    await once(silent, "connect");
    const agent = new http.Agent({ keepAlive: true });
    const plain = ann.ask("get_post/ann", { agent });
    const polls = Array.from({ length: 20 }, (_, n) => ann.hold(`since=now&wait=60&client=c${n}`, { agent }));
    await ann.full();
    const exited = server.stop(signal);
    const retries = new Set<number>();
    for (const reply of await Promise.all(polls)) {
      const batch = JSON.parse(reply.body) as Batch;
      expect(reply.headers.connection).toBe("close");
      expect(batch.messages).toEqual([]);
      expect(batch.cursor).toMatch(/^\d+-\d+$/);
      retries.add(batch.retry ?? -1);
    }
    expect(Math.min(...retries)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...retries)).toBeLessThan(2000);
    expect(retries.size).toBeGreaterThan(10);
    expect(await plain).toMatchObject({ status: 200, body: '""\n', headers: { connection: "close" } });
    expect(await exited).toBe(0);
    expect(server.stderr()).toBe("");
  });
});
