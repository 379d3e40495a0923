/** Clients take all file descriptors of the process. */
import { expect, test } from "vitest";
import { until } from "../wire/chat.js";
import { ask, Person } from "../wire/person.js";
import { dial } from "../wire/raw.js";
import { launch, PROGRAM, printed } from "../wire/server.js";

test("a server without file descriptors logs it, serves its open connections, and later accepts new ones", async () => {
  const flags = ["--port", "0", "--data", "none", "--post-rate", "0"];
  const limited = ["-c", 'ulimit -n 100; exec "$@"', "sh", process.execPath, PROGRAM, ...flags];
  const program = launch("sh", limited);
  const { child, exited, out } = program;
  const url = await printed(program, /(http:\S+)/);
  const port = Number(new URL(url).port);
  const ann = await Person.login(url, "ann");
  await ann.post("before");

  let open = 300;
  const strangers = Array.from({ length: open }, () => dial(port));
  for (const { closed } of strangers) void closed.then(() => open--);
  await until(() => open < 200);
  // Ann's connection is older than the others.
  for (let n = 0; n < 20; n++) await ann.post(`during ${n}`);
  expect((await ann.batch("since=0&wait=0")).messages.length).toBeGreaterThan(20);
  await until(() => out.stderr !== "");
  for (const { socket } of strangers) socket.destroy();
  const heals = async (): Promise<string> =>
    (await ask(`${url}/healthz`).catch(() => undefined))?.body ?? heals();
  expect(await heals()).toBe("ok");
  const bob = await Person.login(url, "bob");
  expect((await bob.batch("since=0&wait=0")).messages.some(({ text }) => text === "during 19")).toBe(true);
  ann.close();
  bob.close();
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
  // One line in a minute, and nothing else.
  expect(out.stderr).toMatch(/^holdline: out of file descriptors: .*ulimit -n.*\n$/);
});
