/** The whole server on a disk on which calls fail at random, and on a file system without sockets. */
import { constants } from "node:os";
import { expect, test } from "vitest";
import { compare } from "../conformance/person.js";
import type { Person } from "../wire/person.js";
import { Shim } from "./file-servers.js";

// So few that segments begin and end in the storm; a reader would miss what is pruned, so it follows.
const BACKLOG = ["--backlog", "200"];
const { EIO, ENOSPC, EPERM } = constants.errno;
const EVERY_CALL = { write: 30, sync: 30, truncate: 30, rename: 30, open: 30, unlink: 30, short: 30 };

test.each([
  ["EIO in every call, and short writes", { error: EIO, ...EVERY_CALL }],
  ["ENOSPC in every write, and short writes", { error: ENOSPC, write: 100, short: 100 }],
])("a server in a storm of %s loses no kept message and shows no refused one", async (_, storm) => {
  const disk = new Shim();
  let server = await disk.start(...BACKLOG);
  const people = await Promise.all([..."abcdefgh"].map((name) => disk.login(server, name)));
  const reader = await disk.login(server, "reader");
  const kept: [id: string, text: string][] = [];
  const refusals = new Set<number>();
  for (let round = 0; round < 2; round++) {
    const before = kept.length;
    disk.set(storm);
    const post = async (person: Person) => {
      for (let n = 0; kept.length < before + 150 || disk.get("failed") < 10 * (round + 1); n++) {
        const text = `${person.name} ${round} ${n}`;
        const { status, body } = await person.say(text);
        if (status === 200) kept.push([JSON.parse(body).id, text]);
        else refusals.add(status);
      }
    };
    await Promise.all(people.map(post));
    disk.heal();
    while ((await reader.ask("healthz")).status !== 200);
    kept.push([await reader.post(`round ${round} is over`), `round ${round} is over`]);
    const expected = kept.toSorted(([a], [b]) => compare(a, b)).slice(-100);
    const newest = async () => {
      const { messages } = await reader.batch("since=0&wait=0");
      const said = messages.filter(({ kind }) => kind === undefined);
      return said.slice(-100).map(({ id, text }) => [id, text]);
    };
    expect(await newest()).toEqual(expected);
    await server.stop(round % 2 ? "SIGKILL" : "SIGTERM");
    // Connections to the old process.
    for (const person of [reader, ...people]) person.close();
    server = await disk.startAgain(server, ...BACKLOG);
    expect(await newest()).toEqual(expected);
  }
  expect([...refusals]).toEqual([503]);
});

test("a server on a file system without sockets runs and warns that there is no lock", async () => {
  const disk = new Shim();
  disk.set({ bind: 1000, error: EPERM });
  const server = await disk.start();
  await (await disk.login(server, "ann")).post("hello");
  expect(server.stderr()).toMatch(
    /^holdline: .*no lock is possible here \(.*EPERM.*\); make sure that only one process/,
  );
  expect(await server.stop()).toBe(0);
});
