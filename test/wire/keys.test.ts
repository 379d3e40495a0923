/** Idempotency keys: their scope is the session, and one key is one text. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ChatBatch, FileStore } from "../../src/index.js";
import { chatPerTest, startChat } from "./chat.js";
import { cookieOf, idOf, keyOf } from "./forms.js";
import { ask, code, FORM, HTML, login, Person, texts } from "./person.js";

const start = chatPerTest();

const key = (value: string) => ({ "Idempotency-Key": value });
const said = async (person: Person) => texts(await person.batch("since=0&wait=0"));

describe("an idempotency key", () => {
  test("of a former owner of the name does not affect a message of the new owner", async () => {
    const { url } = await start();
    const eve = await Person.login(url, "carol");
    const first = await eve.post("eve was here", key("1"));
    await eve.ask("logout", { method: "POST" });
    const carol = await Person.login(url, "carol");
    expect(await carol.post("eve was here", key("1"))).not.toBe(first);
    expect(await carol.post("important", key("2"))).not.toBe(first);
    expect(await said(carol)).toEqual(["eve was here", "eve was here", "important"]);
  });

  test("of an earlier session of the same user does not affect the next session", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const first = await ann.post("x", key("1"));
    ann.cookie = cookieOf(await login(url, "ann", { Cookie: ann.cookie }));
    expect(await ann.post("x", key("1"))).not.toBe(first);
  });

  test("with the same text returns the first id, and with another text is refused", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const first = await ann.post("one", key("k"));
    expect(await ann.post("one", key("k"))).toBe(first);
    expect(code(await ann.say("two", key("k")))).toEqual([422, "key_reused"]);
    const body = JSON.stringify({ message: "three", key: "k" });
    const json = { method: "POST", headers: { "Content-Type": "application/json" }, body };
    expect(code(await ann.ask("put_post/ann", json))).toEqual([422, "key_reused"]);
    expect((await ann.say("two", { ...key("k"), ...HTML })).body).toContain("was already used");
    expect(await said(ann)).toEqual(["one"]);
  });

  test("that is used at once with two texts keeps one of them", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const replies = await Promise.all(["one", "two"].map((text) => ann.say(text, key("k"))));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 422]);
    expect(await said(ann)).toHaveLength(1);
  });

  test("is valid for the session under any spelling of its name in the path", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "Ann");
    const first = await ann.post("one", key("k"));
    const again = await ann.ask("put_post/ANN", {
      method: "POST",
      headers: { ...FORM, ...key("k") },
      body: "message=one",
    });
    expect(JSON.parse(again.body)).toEqual({ id: first });
  });

  test("of the host's own posts is separate from a user's, and is refused with another text", async () => {
    const { url, chat } = await start();
    const bot = await Person.login(url, "bot");
    const first = await chat.post({ user: "bot", text: "one", key: "k" });
    expect(await bot.post("one", key("k"))).not.toBe(first.id);
    expect(await chat.post({ user: "bot", text: "one", key: "k" })).toEqual(first);
    await expect(chat.post({ user: "bot", text: "two", key: "k" })).rejects.toThrow(/^key: /);
    expect(await said(bot)).toEqual(["one", "one"]);
  });

  test("behind a host's log-in belongs to the user", async () => {
    const { url, chat } = await start({ identify: (req) => req.headers["x-user"]?.toString() });
    const say = async (user: string, text: string) => {
      const headers = { ...FORM, ...key("k"), "X-User": user };
      return ask(`${url}/put_post/${user}`, { method: "POST", headers, body: `message=${text}` });
    };
    const first = await say("ann", "one");
    expect((await say("ann", "one")).body).toBe(first.body);
    expect((await say("bob", "one")).body).not.toBe(first.body);
    expect((await say("ann", "two")).status).toBe(422);
    const { value } = await chat.follow({ since: "0" }).next();
    expect((value as ChatBatch | undefined)?.messages.map(({ user }) => user)).toEqual(["ann", "bob"]);
  });
});

describe("over a restart", () => {
  test("a key stays valid for its session only, and does not reveal the session id", async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdline-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const store = () => new FileStore({ folder, keep: 100, warn: (line) => expect(line).toBe("") });
    const before = await startChat({ store: store() });
    const ann = await Person.login(before.url, "ann");
    const first = await ann.post("one", key("k"));
    await before.close();
    const { url } = await start({ store: store() });
    const again = ann.at({ url });
    expect(await again.post("one", key("k"))).toBe(first);
    expect(code(await again.say("two", key("k")))).toEqual([422, "key_reused"]);
    await again.ask("logout", { method: "POST" });
    const other = await Person.login(url, "ann");
    expect(await other.post("one", key("k"))).not.toBe(first);
    const id = idOf(ann.cookie);
    expect(id).toMatch(/.{16}/);
    for (const file of await readdir(folder)) {
      const text = await readFile(join(folder, file), "utf8").catch(() => "");
      for (let at = 0; at + 8 <= id.length; at++) expect(text).not.toContain(id.slice(at, at + 8));
    }
  });
});

describe("the form of the room page", () => {
  test("posts once if it is submitted twice, and posts another text as a new message", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const page = (await ann.ask("chatroom/ann/")).body;
    const send = async (text: string, form = page) => {
      const body = new URLSearchParams({ key: keyOf(form), message: text }).toString();
      const reply = await ann.ask("put_post/ann", { method: "POST", headers: { ...FORM, ...HTML }, body });
      expect([reply.status, reply.headers.location]).toEqual([303, "../chatroom/ann/"]);
    };
    await Promise.all([send("yes"), send("yes")]);
    await send("yes");
    await send("no");
    await send("yes", (await ann.ask("chatroom/ann/")).body);
    expect(await said(ann)).toEqual(["yes", "no", "yes"]);
  });
});
