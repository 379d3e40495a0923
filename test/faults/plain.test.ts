/** Plain polls (without `since`) of a whole server that is stopped or killed, and started again on its folder. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Person } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";

/** The same person, who now goes to another server. */
function at(person: Person, { url }: Server): Person {
  return Object.assign(Object.create(person) as Person, { url });
}

test.each(["SIGTERM", "SIGKILL"] as const)(
  "a plain poll loses nothing when %s ends its server",
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
    await at(bob, server).post("6");
    while (seen.length < 6) seen.push(await at(ann, server).plain());
    expect(seen).toEqual([...sent, "6"]);
    // The server does not know what a caller without a cookie has seen: it starts with what was said since.
    expect(await at(cat, server).bare()).toBe("6");
    // The cookie of the log-in is enough.
    expect(await at(cat, server).plain()).toBe("1");
    for (const person of [ann, bob, cat]) person.close();
  },
);
