/** Plain polls (without `since`): the cookie with their position, and callers without it. The rest is in the kit. */
import { beforeEach, expect, test } from "vitest";
import { type RunningRoom, startRoom as start, start as startEmpty, until } from "./chat.js";
import { ask, cookieOf, Person } from "./person.js";
import { dial, get, hear } from "./raw.js";

let running: RunningRoom;
let bob: Person;
beforeEach(async () => {
  running = await start({ backlog: 5, maxWaiters: 4, trustProxy: true });
  ({ bob } = running);
  // Bob's join notice must not come between the messages of a test.
  while ((await bob.batch("since=0&wait=0")).messages.length === 0);
});

/** Posts texts in order. */
async function say(...texts: string[]): Promise<void> {
  for (const text of texts) await running.chat.post({ user: "ann", text });
}

/** Sends a plain poll with Bob's session and these cookies. */
const poll = (...cookies: string[]) =>
  bob.ask("get_post/bob", { headers: { Cookie: [bob.cookie, ...cookies].join("; ") } });
/** Returns the text of its reply. */
const text = async (...cookies: string[]) => JSON.parse((await poll(...cookies)).body) as string;
/** Returns the mark of the session and the cursor in Bob's plain cookie. */
const position = () => (bob.jar.get("holdline-plain") ?? "").split(".") as [string, string];

test("a plain poll returns a multi-byte text whole, with Content-Length in bytes", async () => {
  await say("世界é");
  const reply = await poll();
  expect(reply.body).toBe('"世界é"\n');
  expect(reply.headers["content-length"]).toBe(`${Buffer.byteLength('"世界é"\n')}`);
});

test("a plain poll is held if its cursor is pruned and only notices are kept", async () => {
  const small = await start({ backlog: 2, grace: 3_600_000 });
  const dan = await Person.login(small.url, "dan");
  await small.chat.post({ user: "host", text: "pruned" });
  const notice = small.chat.follow();
  for (const person of [small.ann, small.bob]) {
    await person.end();
    expect(await notice.next()).toMatchObject({ value: { events: [{ kind: "join" }] } });
  }
  const poll = dan.plainWith();
  await until(() => small.chat.waiting === 1);
  await small.chat.post({ user: "host", text: "said" });
  expect(await poll).toBe("said");
});

test("a caller without a cookie loses no text by a lost connection or a cross-site page view", async () => {
  const { socket } = dial(running.port, get("/get_post/bob", `Cookie: ${bob.cookie}`));
  await until(() => running.chat.waiting === 1);
  socket.destroy();
  await until(() => running.chat.waiting === 0);
  await say("kept");
  await bob.ask("chatroom/bob/", { headers: { "Sec-Fetch-Site": "cross-site" } });
  expect(await bob.plainWith()).toBe("kept");
});

test("a caller without a cookie starts at the log-in, also if its name has expired", async () => {
  const { url, chat, ann, bob } = await start({ maxNames: 3, grace: 60_000 });
  const { at } = await chat.post({ user: "host", text: "before the log-in" });
  // A message of the same millisecond would count as one after the log-in.
  await until(() => Date.now() > at);
  const cat = await Person.login(url, "cat");
  await chat.post({ user: "host", text: "after the log-in" });
  // Also with a cookie that is older than the log-in.
  const [mark] = (cat.jar.get("holdline-plain") ?? "").split(".");
  expect(await cat.plainWith(`holdline-plain=${mark}.0-1`)).toBe("after the log-in");
  for (const person of [ann, bob, cat]) await person.leave();
  for (const name of ["dan", "eve", "fay"]) await (await Person.login(url, name)).logout();
  expect(await cat.plainWith()).toBe("after the log-in");
});

test("the cookie holds the cursor from the log-in on, is Secure over https, and does not reveal the session", async () => {
  const [mark, cursor] = position();
  expect(cursor).toMatch(/^\d+-\d+$/);
  await say("one");
  const after = await bob.end();
  const headers = { Cookie: bob.cookie, "X-Forwarded-Proto": "https" };
  const [cookie] = (await bob.ask("get_post/bob", { headers })).headers["set-cookie"] ?? [];
  expect(cookie).toBe(`holdline-plain=${mark}.${after}; HttpOnly; SameSite=Lax; Secure`);
  const session = Buffer.from(bob.cookie.split(/[=.]/)[1] ?? "", "base64url").toString();
  expect(mark.length).toBeGreaterThan(10);
  for (let at = 0; at + 6 <= mark.length; at++) expect(session).not.toContain(mark.slice(at, at + 6));
});

test("the cookie moves past notices with an empty reply", async () => {
  await (await Person.login(running.url, "cat")).end();
  let { cursor, messages } = await bob.batch("since=0&wait=0");
  while (messages.length < 2) ({ cursor, messages } = await bob.batch("since=0&wait=0"));
  // A pipelined poll is answered at once.
  const cookies = `Cookie: ${bob.cookies}`;
  const polled = get("/healthz", cookies) + get("/get_post/bob", cookies, "Connection: close");
  const { text } = await hear(running.port, polled);
  expect(text).toMatch(/\r\n\r\n""\n$/);
  expect(text).toContain(`Set-Cookie: holdline-plain=${position()[0]}.${cursor}; `);
});

test("a caller with a cookie gets the kept messages if it is old, and continues at the first one of two", async () => {
  await say("1", "2", "3", "4", "5", "6", "7");
  expect(await bob.plain()).toBe("3");
  const [, first = ""] = bob.cookies.split("; ");
  expect(await bob.plain()).toBe("4");
  const [, last = ""] = bob.cookies.split("; ");
  expect(await text("holdline-plain=foreign.0-1", last, first)).toBe("5");
});

test("a caller that repeats a cookie continues by cookie as soon as the cookie changes", async () => {
  await say("one", "two", "three");
  const first = bob.cookies;
  for (const _ of "123") expect(await text(first)).toBe("one");
  const reply = await poll(first);
  expect(reply.body).toBe('"two"\n');
  for (const _ of "123") expect(await text(cookieOf(reply))).toBe("three");
});

test("a caller that repeats a cookie gets a text three times, also while another one brings no cookie", async () => {
  await say("one", "two", "three", "four", "five");
  const first = bob.cookies;
  for (const other of ["two", "three", "four"])
    expect([await text(first), await text()]).toEqual(["one", other]);
  expect(await text(first)).toBe("five");
});

test("a caller that repeats a cookie gets a text again after the room was full", async () => {
  await say("one");
  const first = bob.cookies;
  expect(await text(first)).toBe("one");
  const polls = ["a", "b", "c", "d"].map((client) => bob.poll(`since=now&wait=60&client=${client}`));
  await until(() => running.chat.waiting === 4);
  for (let n = 0; n < 4; n++) expect((await poll(first)).status).toBe(503);
  await bob.leave();
  await Promise.all(polls);
  expect(await text(first)).toBe("one");
});

test.each([
  ["of another session", (_: string, cursor: string) => `0123456789abcdef.${cursor}`],
  ["that asks for everything", (mark: string) => `${mark}.0`],
  ["that is empty", () => ""],
  ["with a text behind it", (mark: string, cursor: string) => `${mark}.${cursor}x`],
  ["in quotes", (mark: string, cursor: string) => `"${mark}.${cursor}"`],
  ["with numbers that no id has", (mark: string) => `${mark}.${"9".repeat(21)}-0`],
  ["that is in the future", (mark: string) => `${mark}.8640000000000-0`],
])("a plain cookie %s is ignored", async (_, forge) => {
  const forged = `holdline-plain=${forge(...position())}`;
  await say("one", "two", "three");
  expect([await text(), await text(forged), await bob.plain()]).toEqual(["one", "two", "one"]);
});

test("a plain cookie belongs to the name behind a host's log-in", async () => {
  const host = await startEmpty({ identify: ({ headers }) => headers["x-name"]?.toString() });
  const poll = (name: string, cookie = "") =>
    ask(`${host.url}/get_post/${name}`, { headers: { "X-Name": name, Cookie: cookie } });
  for (const text of ["one", "two"]) await host.chat.post({ user: "ann", text });
  const reply = await poll("bob");
  expect(reply.body).toBe('"one"\n');
  for (const name of ["bob", "bob", "cat"])
    expect((await poll(name, cookieOf(reply))).body).toBe(name === "bob" ? '"two"\n' : '"one"\n');
});

test("a poll with a percent-encoded or empty field `since` is no plain poll", async () => {
  expect((await bob.batch("s%69nce=0&wait=0")).cursor).toMatch(/^\d+-\d+$/);
  for (const query of ["since", "since=", "wait=0&since"]) {
    const { status, body } = await bob.ask(`get_post/bob?${query}`);
    expect([status, JSON.parse(body).error.code]).toEqual([400, "bad_cursor"]);
  }
});
