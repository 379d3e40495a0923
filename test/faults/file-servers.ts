/** Whole servers on a folder, and people in their rooms. All of them end with their test. */
import { expect, onTestFinished } from "vitest";
import { Person } from "../wire/person.js";
import { run, type Server, startServerWith } from "../wire/server.js";

export async function start(folder: string, flags: readonly string[] = [], env = {}): Promise<Server> {
  const server = await startServerWith(env, "--data", folder, ...flags);
  onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
  return server;
}

/** Starts a server in the place of one that has ended: on its port, so its sessions are valid. */
export function startAgain(folder: string, { port }: Server, ...flags: string[]): Promise<Server> {
  return start(folder, ["--port", `${port}`, ...flags]);
}

export async function login(server: Server, name: string): Promise<Person> {
  const person = await Person.login(server.url, name);
  onTestFinished(() => person.close());
  return person;
}

/** Runs a server that must end at its start, and returns what it says. */
export async function refusedStart(folder: string): Promise<string> {
  const { exited, out } = run("--port", "0", "--data", folder);
  expect([await exited, out.stdout]).toEqual([1, ""]);
  expect(out.stderr).toMatch(/^holdline: .*\n$/);
  return out.stderr;
}
