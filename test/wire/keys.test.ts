/** Idempotency keys of the host, of its log-in and of the page's form. Their rules for every server are in the kit. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { FileStore } from "../../src/index.js";
import { start, startRoom } from "./chat.js";
import { ask, FORM, HTML, keyOf, type Person, sessionIn, texts } from "./person.js";

const key = (value: string) => ({ "Idempotency-Key": value });
const said = async (person: Person) => texts(await person.batch("since=0&wait=0"));

test("a key that is used at once with two texts keeps one of them, and an empty key counts as none", async () => {
  const { ann } = await startRoom();
  const replies = await Promise.all(["one", "two"].map((text) => ann.say(text, key("k"))));
  expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 422]);
  expect((await ann.say("three", { ...key("k"), ...HTML })).body).toContain("was already used");
  const first = await ann.post("four", key("l"));
  // The key is valid under any spelling of the name in the path.
  expect(JSON.parse((await ann.send("put_post/ANN", "message=four", key("l"))).body)).toEqual({ id: first });
  for (let n = 0; n < 2; n++) await ann.send("put_post/ann", "message=five&key=");
  // The key in the form counts if the header is empty.
  for (let n = 0; n < 2; n++) await ann.send("put_post/ann", "message=six&key=m", key(""));
  expect((await said(ann)).slice(1)).toEqual(["four", "five", "five", "six"]);
  await ann.post("seven", key("page-1"));
  expect((await ann.say("eight", key("page-1"))).status).toBe(422);
});

test("a key of the host's own posts is separate from a user's, and is refused with another text", async () => {
  const { chat, bob } = await startRoom();
  const first = await chat.post({ user: "bob", text: "one", key: "k" });
  expect(await bob.post("one", key("k"))).not.toBe(first.id);
  expect(await chat.post({ user: "bob", text: "one", key: "k" })).toEqual(first);
  await expect(chat.post({ user: "bob", text: "two", key: "k" })).rejects.toThrow(/^key: /);
  expect(await said(bob)).toEqual(["one", "one"]);
});

test("a key behind a host's log-in belongs to the user", async () => {
  const { url, chat } = await start({ identify: (req) => req.headers["x-user"]?.toString() });
  const say = async (user: string, text: string) => {
    const headers = { ...FORM, ...key("k"), "X-User": user };
    return ask(`${url}/put_post/${user}`, { method: "POST", headers, body: `message=${text}` });
  };
  const first = await say("ann", "one");
  expect((await say("ann", "one")).body).toBe(first.body);
  expect((await say("bob", "one")).body).not.toBe(first.body);
  expect((await say("ann", "two")).status).toBe(422);
  expect((await chat.follow({ since: "0" }).next()).value.events).toHaveLength(2);
});

test("a key over a restart is not valid for the next session, and does not reveal the session id", async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdline-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const store = () => new FileStore({ folder, warn: (line) => expect(line).toBe("") });
  const { ann, close } = await startRoom({ store: store() });
  const first = await ann.post("one", key("k"));
  await close();
  // The log-in ends the session from before the restart.
  expect(await (await startRoom({ store: store() })).ann.post("one", key("k"))).not.toBe(first);
  const id = sessionIn(ann.cookie);
  expect(id).toMatch(/.{16}/);
  for (const file of await readdir(folder)) {
    const text = await readFile(join(folder, file), "utf8").catch(() => "");
    for (let at = 0; at + 8 <= id.length; at++) expect(text).not.toContain(id.slice(at, at + 8));
  }
});

test("the form of the room page posts once if it is submitted twice, and another text as a new message", async () => {
  const { ann } = await startRoom();
  const page = (await ann.ask("chatroom/ann/")).body;
  const send = async (message: string, form = page) => {
    const body = new URLSearchParams({ "page-key": keyOf(form), message }).toString();
    const reply = await ann.send("put_post/ann", body, HTML);
    expect([reply.status, reply.headers.location]).toEqual([303, "../chatroom/ann/"]);
  };
  await Promise.all([send("yes"), send("yes")]);
  await send("yes");
  await send("no");
  await send("yes", (await ann.ask("chatroom/ann/")).body);
  expect(await said(ann)).toEqual(["yes", "no", "yes"]);
});
