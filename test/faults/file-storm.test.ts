/** The whole server on a disk on which calls fail at random, and on a file system without sockets. */
import { constants } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Person } from "../wire/person.js";
import { login, start as startOn } from "./file-servers.js";
import { compareIds } from "./file-store.js";
import { type Field, Shim } from "./shim.js";

let shim: Shim;
beforeEach(() => {
  shim = new Shim();
});
afterEach(() => shim.remove());

// So few that segments begin and end in the storm; a reader would miss what is pruned, so it follows.
const BACKLOG = 200;

const start = (...flags: string[]) => startOn(shim.folder, ["--backlog", `${BACKLOG}`, ...flags], shim.env);

const EVERY_CALL: readonly Field[] = ["write", "sync", "truncate", "rename", "open", "unlink", "short"];

test.each([
  ["EIO in every call, and short writes", EVERY_CALL, constants.errno.EIO, 30],
  ["ENOSPC in every write, and short writes", ["write", "short"] as const, constants.errno.ENOSPC, 100],
])(
  "a server in a storm of %s loses no kept message and shows no refused one",
  async (_, calls, error, chance) => {
    let server = await start();
    const people = await Promise.all([..."abcdefgh"].map((name) => login(server, name)));
    const reader = await login(server, "reader");
    const kept = new Map<string, string>();
    const refused = new Set<string>();
    const storm = () => shim.set({ error, ...Object.fromEntries(calls.map((call) => [call, chance])) });
    for (let round = 0; round < 2; round++) {
      const before = kept.size;
      storm();
      const post = async (person: Person) => {
        for (let n = 0; kept.size < before + 150 || shim.get("failed") < 10 * (round + 1); n++) {
          const text = `${person.name} ${round} ${n}`;
          const { status, body } = await person.say(text);
          if (status === 200) kept.set(JSON.parse(body).id, text);
          else refused.add(`${status} ${text}`);
        }
      };
      await Promise.all(people.map(post));
      shim.heal();
      while ((await reader.ask("healthz")).status !== 200);
      kept.set(await reader.post(`round ${round} is over`), `round ${round} is over`);
      const expected = [...kept].sort(([a], [b]) => compareIds(a, b)).slice(-100);
      const newest = async () => {
        const { messages } = await reader.batch("since=0&wait=0");
        const said = messages.filter(({ kind }) => kind === undefined);
        return said.slice(-100).map(({ id, text }) => [id, text]);
      };
      expect(await newest()).toEqual(expected);
      await server.stop(round % 2 ? "SIGKILL" : "SIGTERM");
      // Connections to the old process.
      for (const person of [reader, ...people]) person.close();
      server = await start("--port", `${server.port}`);
      expect(await newest()).toEqual(expected);
    }
    expect([...refused].filter((line) => !line.startsWith("503 "))).toEqual([]);
    expect(refused.size).toBeGreaterThan(0);
  },
);

test("a server on a file system without sockets runs and warns that there is no lock", async () => {
  shim.set({ bind: 1000, error: constants.errno.EPERM });
  const server = await start();
  const ann = await login(server, "ann");
  await ann.post("hello");
  expect(server.stderr()).toMatch(
    /^holdline: .*no lock is possible here \(.*EPERM.*\); make sure that only one process/,
  );
  expect(await server.stop()).toBe(0);
});
