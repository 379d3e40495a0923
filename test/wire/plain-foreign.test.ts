/** The cookie of plain polls (without `since`): foreign cookies, and sessions of a host's log-in. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat } from "./chat.js";
import { ask, Person } from "./person.js";

let running: Running;
let bob: Person;
beforeEach(async () => {
  running = await startChat();
  bob = await Person.login(running.url, "bob");
});
afterEach(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

/** Posts texts in order. */
async function say(...texts: string[]): Promise<void> {
  for (const text of texts) await running.chat.post({ user: "ann", text });
}

/** Returns the text that a plain poll with Bob's session and these cookies gets. */
async function text(...cookies: string[]): Promise<string> {
  const headers = { Cookie: [bob.cookie, ...cookies].join("; ") };
  return JSON.parse((await bob.ask("get_post/bob", { headers })).body) as string;
}

describe("a plain cookie is ignored", () => {
  test.each([
    ["of another session", (cursor: string) => `0123456789abcdef.${cursor}`],
    ["without a session", (cursor: string) => `.${cursor}`],
    ["that is a cursor alone", (cursor: string) => cursor],
    ["without a cursor", (_: string, mark: string) => `${mark}.`],
    ["that is a session alone", (_: string, mark: string) => mark],
    ["that asks for everything", (_: string, mark: string) => `${mark}.0`],
    ["with something behind it", (cursor: string, mark: string) => `${mark}.${cursor}.x`],
    ["in quotes", (cursor: string, mark: string) => `"${mark}.${cursor}"`],
    ["that is empty", () => ""],
  ])("%s", async (_, forge) => {
    const [, mark = "", cursor = ""] = /(.*)\.(.*)/.exec(bob.jar.get("holdline-plain") ?? "") ?? [];
    await say("one", "two", "three");
    expect(await text()).toBe("one");
    expect(await text(`holdline-plain=${forge(cursor, mark)}`)).toBe("two");
    expect(await text(`holdline-plain=${forge(cursor, mark)}`, bob.cookies)).toBe("one");
  });

  test.each([
    ["of a time to come", (_: string, mark: string) => `${mark}.${Date.now() + 3_600_000}-0`],
    [
      "with numbers that no id has",
      (_: string, mark: string) => `${mark}.${"9".repeat(20)}-${"9".repeat(20)}`,
    ],
  ])("%s", async (_, forge) => {
    const [mark = ""] = bob.jar.get("holdline-plain")?.split(".") ?? [];
    await say("one", "two", "three");
    expect(await text()).toBe("one");
    expect(await text(`holdline-plain=${forge("", mark)}`)).toBe("two");
    expect(await bob.plain()).toBe("one");
  });

  test("of the former user of the same browser", async () => {
    await say("one");
    await bob.plain();
    const cat = await Person.login(running.url, "cat");
    await say("two");
    const headers = { Cookie: `${cat.cookie}; ${bob.cookies.split("; ")[1]}` };
    expect((await cat.ask("get_post/cat", { headers })).body).toBe('"two"\n');
  });
});

test("behind a host's log-in the plain cookie belongs to the name", async () => {
  await running.close();
  running = await startChat({ identify: ({ headers }) => headers["x-name"]?.toString() });
  const poll = (name: string, cookie = "") =>
    ask(`${running.url}/get_post/${name}`, { headers: { "X-Name": name, Cookie: cookie } });
  await say("one", "two");
  const { headers, body } = await poll("bob");
  expect(body).toBe('"one"\n');
  const [cookie] = headers["set-cookie"]?.[0]?.split(";") ?? [];
  expect((await poll("bob", cookie)).body).toBe('"two"\n');
  expect((await poll("bob", cookie)).body).toBe('"two"\n');
  expect((await poll("cat", cookie)).body).toBe('"one"\n');
});
