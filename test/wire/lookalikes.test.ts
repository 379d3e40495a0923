/** Lookalike names are the same name, and names that display nothing are refused. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Running, startChat } from "./chat.js";
import { ask, code, login, Person } from "./person.js";

let running: Running;
let url: string;
beforeAll(async () => {
  running = await startChat();
  ({ url } = running);
});
afterAll(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

/** A name and another spelling that looks the same. */
const ALIKE = [
  ["Ann", "ann"],
  ["ann", "ann\u2800"],
  ["ann", "\u2800ann"],
  ["Ann Lee", "Ann  Lee"],
  ["Ann Lee", "ann\u00a0\u3000lee"],
  ["Ann Lee", "Ann \u034f Lee"],
  ["josé", "jose\u034f\u0301"],
  ["josé", "jose\ufe0f\u0301"],
  ["가나", "\u1100\u034f\u1161나"],
  ["bob", "b\u3164ob"],
  ["bob", "bo\u115f\u1160b\uffa0"],
  ["carl", "carl\ufe0f"],
  ["dora", "dor\u{1d159}a"],
  ["ed", "e\u{13441}d"],
  ["gus", "gus\u{e0100}"],
  ["hal", "hal\uffff"],
  ["hal", "\ufdd0hal\u{1fffe}"],
  ["ida", "ida\u0378"],
  ["oli", "oli\u17b5"],
  ["pam", "pam\u180b"],
  ["tom", "tom\ufffc"],
  ["zed\u0300", "zed\u034f\u0300"],
] as const;

test.each(ALIKE)("%j and %j are the same name", async (name, other) => {
  const ann = await Person.login(url, name);
  expect(code(await login(url, other))).toEqual([409, "name_taken"]);
  expect((await ann.ask(`get_post/${encodeURIComponent(other)}?since=now&wait=0`)).status).toBe(200);
  await ann.ask("logout", { method: "POST" });
  const { status, headers } = await login(url, other);
  expect(status).toBe(303);
  const shown = decodeURIComponent(headers.location?.split("/")[1] ?? "");
  expect(shown.toLowerCase()).toBe(name.toLowerCase());
  const Cookie = headers["set-cookie"]?.[0]?.split(";")[0];
  await ask(`${url}/logout`, { method: "POST", headers: { Cookie } });
});

test.each([
  "\u2800",
  "\u3164",
  "\u{1d159}",
  "\uffff",
  "\u115f\u1160",
  "\uffa0",
  "\u034f",
  "\ufe0f \u2800",
  "\u0378",
  " ",
])("%j is refused because it displays nothing", async (name) => {
  expect(code(await login(url, name))).toEqual([422, "bad_name"]);
});

test("a path with a user longer than any name is 403", async () => {
  const ann = await Person.login(url, "ann");
  const path = encodeURIComponent(`ann${"\u034f".repeat(300)}`);
  expect(code(await ann.ask(`get_post/${path}?since=now&wait=0`))).toEqual([403, "not_you"]);
});
