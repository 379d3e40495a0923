/** Plain polls (without `since`) of a server that restarts. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Person } from "../wire/person.js";
import { startServer } from "../wire/server.js";

test("plain polls get every message when a kill ends the server between them", async () => {
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
  await server.stop("SIGKILL");
  server = await startServer("--data", folder);
  await bob.at(server).post("6");
  while (seen.length < 6) seen.push(await ann.at(server).plain());
  expect(seen).toEqual([...sent, "6"]);
  // A restarted server does not know the position of a caller without a cookie, so it starts with newer messages.
  expect(await cat.at(server).plainWith()).toBe("6");
  // The cookie of the log-in is enough.
  expect(await cat.at(server).plain()).toBe("1");
  for (const person of [ann, bob, cat]) person.close();
});
