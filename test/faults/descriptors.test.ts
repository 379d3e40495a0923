/** Clients take all file descriptors of the process. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ask, Person } from "../wire/person.js";

const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));

test("a server without file descriptors logs it, serves its open connections, and later accepts new ones", async () => {
  const flags = ["--port", "0", "--data", "none", "--post-rate", "0"];
  const child = spawn("sh", ["-c", 'ulimit -n 100; exec "$@"', "sh", process.execPath, PROGRAM, ...flags]);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  const [url = ""] = /http:\S+/.exec(`${line}`) ?? [];
  const port = Number(new URL(url).port);
  const ann = await Person.login(url, "ann");
  await ann.post("before");

  const strangers = new Set<Socket>();
  const areClosed = new Promise<void>((resolve) => {
    for (let n = 0; n < 300; n++) {
      const socket = connect(port, "127.0.0.1");
      strangers.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          strangers.delete(socket);
          if (strangers.size < 200) resolve();
        });
    }
  });
  await areClosed;
  // Ann's connection is older than the others.
  for (let n = 0; n < 20; n++) await ann.post(`during ${n}`);
  expect((await ann.batch("since=0&wait=0")).messages.length).toBeGreaterThan(20);
  while (stderr === "") await once(child.stderr, "data");

  for (const socket of strangers) socket.destroy();
  const heals = async (): Promise<string> =>
    (await ask(`${url}/healthz`).catch(() => undefined))?.body ?? heals();
  expect(await heals()).toBe("ok");
  const bob = await Person.login(url, "bob");
  expect((await bob.batch("since=0&wait=0")).messages.some(({ text }) => text === "during 19")).toBe(true);
  ann.close();
  bob.close();
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  // One line in a minute, and nothing else.
  expect(stderr).toMatch(/^holdline: out of file descriptors: .*ulimit -n.*\n$/);
});
