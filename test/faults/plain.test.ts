/** Plain polls (without `since`) of a server that restarts, and of a server with a small heap. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { Person } from "../wire/person.js";
import { hear } from "../wire/raw.js";
import { startServer } from "../wire/server.js";

test.each(["SIGTERM", "SIGKILL"] as const)(
  "plain polls get every message when %s ends the server between them",
  async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), "holdline-plain-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    let server = await startServer("--data", folder);
    onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
    const bob = await Person.login(server.url, "bob");
    const ann = await Person.login(server.url, "ann");
    const cat = await Person.login(server.url, "cat");
    const sent = ["1", "2", "3", "4", "5"];
    for (const text of sent) await bob.post(text);
    const seen = [await ann.plain(), await ann.plain()];
    await server.stop(signal);
    server = await startServer("--data", folder);
    await bob.at(server).post("6");
    while (seen.length < 6) seen.push(await ann.at(server).plain());
    expect(seen).toEqual([...sent, "6"]);
    // A restarted server does not know the position of a caller without a cookie, so it starts with newer messages.
    expect(await cat.at(server).plainWith()).toBe("6");
    // The cookie of the log-in is enough.
    expect(await cat.at(server).plain()).toBe("1");
    for (const person of [ann, bob, cat]) person.close();
  },
);

/** The heap has 20 MB, and each reader sends 7 KB: for 2,500 readers of one kind, 17 MB would stay in use. */
test("a plain poll keeps neither its request nor a header in memory", async () => {
  vi.stubEnv("NODE_OPTIONS", "--max-old-space-size=20");
  const server = await startServer();
  vi.unstubAllEnvs();
  onTestFinished(() => server.stop("SIGKILL").then(() => undefined));
  const ann = await Person.login(server.url, "ann");
  const padding = `padding=${"y".repeat(7_000)}`;
  /** Polls behind another request, so the reply comes at once and has no text. */
  const pollEmpty = async ({ name, cookies }: Person) => {
    const head = `HTTP/1.1\r\nHost: x\r\nCookie: ${padding}; ${cookies}\r\nConnection: close\r\n\r\n`;
    const polls = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /get_post/${name} ${head}`;
    expect((await hear(server.port, polls)).text).toMatch(/\r\n\r\n""\n$/);
  };
  const pollText = async (person: Person) => {
    const { body } = await person.poll("", { headers: { Cookie: `${padding}; ${person.cookies}` } });
    expect(body).toBe('"hello"\n');
    person.close();
  };
  for (let round = 0; round < 50; round++) {
    const names = Array.from({ length: 100 }, (_, n) => `reader-${round}-${n}`);
    const people = await Promise.all(names.map((name) => Person.login(server.url, name)));
    await Promise.all(people.slice(50).map(pollEmpty));
    await ann.post("hello");
    await Promise.all(people.slice(0, 50).map(pollText));
  }
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});
