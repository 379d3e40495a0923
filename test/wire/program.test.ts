import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ask, type Batch, Person } from "./person.js";
import { run, startServer } from "./server.js";

describe("the start", () => {
  test("prints one line with the address, and nothing else", async () => {
    const server = await startServer();
    const ann = await Person.login(server.url, "ann");
    await ann.post("hello");
    expect(await server.stop()).toBe(0);
    expect(server.stdout()).toBe(`holdline is listening on ${server.url}\n`);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(server.stderr()).toBe("");
  });

  test("names an IPv6 address so that a browser takes it", async () => {
    const server = await startServer("--host", "::1");
    expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    await server.stop();
  });

  test("says that the port is in use, and ends with 1", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const { exited, out } = run("--port", `${port}`, "--data", "none");
    expect(await exited).toBe(1);
    expect(out).toEqual({
      stdout: "",
      stderr: `holdline: port ${port} on 127.0.0.1 is in use; choose another with --port.\n`,
    });
    other.close();
  });

  test("says that a host is not ours, and ends with 1", async () => {
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

  test("tells its flags to who asks", async () => {
    const { exited, out } = run("--help");
    expect(await exited).toBe(0);
    for (const flag of [
      "host",
      "port",
      "data",
      "redis",
      "backlog",
      "max-waiters",
      "post-rate",
      "login-rate",
      "trust-proxy",
    ]) {
      expect(out.stdout).toContain(`[--${flag}`);
    }
  });

  test.each([
    ["an unknown flag", ["--colour"]],
    ["a word that is no flag", ["5000"]],
    ["a URL whose flag was forgotten, without showing its password", ["redis://:hunter2@host"]],
    ["a port that is no number", ["--port", "http"]],
    ["a port out of range", ["--port", "65536"]],
    ["a negative port", ["--port", "-1"]],
    ["an empty host", ["--host", ""]],
    ["an empty folder", ["--data", ""]],
    ["a backlog of nothing", ["--backlog", "0"]],
    ["a flag without its value", ["--max-waiters"]],
  ])("refuses %s in one line that shows the flags, and ends with 2", async (_, flags) => {
    const { exited, out } = run(...flags);
    expect(await exited).toBe(2);
    expect(out.stdout).toBe("");
    expect(out.stderr).toMatch(/^holdline: .*[^.]\. Usage: .*\[--port 5000\].*\n$/);
    expect(out.stderr.trim().split("\n")).toHaveLength(1);
    expect(out.stderr).not.toContain("hunter2");
  });

  test("keeps as many messages as it is told to", async () => {
    const server = await startServer("--backlog", "3");
    const ann = await Person.login(server.url, "ann");
    await ann.batch("since=now&wait=0");
    for (const text of ["1", "2", "3", "4"]) await ann.post(text);
    expect((await ann.batch("since=0")).messages.map((message) => message.text)).toEqual(["2", "3", "4"]);
    await server.stop();
  });
});

test("a room whose log nobody reads any more lives on, also when there is something to say", async () => {
  const parent = await mkdtemp(join(tmpdir(), "holdline-"));
  const folder = join(parent, "data");
  const server = await startServer("--data", folder);
  const ann = await Person.login(server.url, "ann");
  server.closeOutput();
  await rm(folder, { recursive: true });
  await writeFile(folder, "in the way");
  // The store says so on standard error.
  expect((await ann.say("lost")).status).toBe(503);
  await rm(folder);
  await mkdir(folder);
  while ((await ann.say("kept")).status !== 200);
  expect(await server.stop()).toBe(0);
  await rm(parent, { recursive: true });
});

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("answers every held poll, closes every connection, and ends with 0", async () => {
    const server = await startServer("--max-waiters", "21");
    const ann = await Person.login(server.url, "ann");
    // One connection that idles, and one that has said nothing yet.
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
    expect(await plain).toMatchObject({ status: 200, body: '""', headers: { connection: "close" } });
    expect(await exited).toBe(0);
    expect(server.stderr()).toBe("");
  });
});
