import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { cookieOf } from "./forms.js";
import { ask, code, FORM, Person } from "./person.js";

let running: Running;
let ann: Person;
// Nobody is away for as long as this takes on a slow machine: a notice would wake who waits.
beforeAll(async () => {
  running = await startChat({ backlog: 10, maxWaiters: 3, grace: 3_600_000 });
  ann = await Person.login(running.url, "ann");
});
afterAll(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

const JSON_TYPE = { "Content-Type": "application/json" };

describe("what is refused, and with which code", () => {
  test.each([
    ["a malformed path", "get_post/%zz", 400, "bad_request"],
    ["a malformed query", "get_post/ann?since=%", 400, "bad_request"],
    ["a wait that is no number", "get_post/ann?since=0&wait=soon", 400, "bad_request"],
    ["a wait over a minute", "get_post/ann?since=0&wait=61", 400, "bad_request"],
    ["a negative wait", "get_post/ann?since=0&wait=-1", 400, "bad_request"],
    ["a client with a space", "get_post/ann?since=0&client=a%20b", 400, "bad_request"],
    ["a client that is too long", `get_post/ann?since=0&client=${"a".repeat(65)}`, 400, "bad_request"],
    ["an empty cursor", "get_post/ann?since=", 400, "bad_cursor"],
    ["a cursor of one number", "get_post/ann?since=12", 400, "bad_cursor"],
    ["a cursor of words", "get_post/ann?since=__proto__", 400, "bad_cursor"],
    ["a negative cursor", "get_post/ann?since=-1-2", 400, "bad_cursor"],
    ["a cursor with a line end", "get_post/ann?since=1-2%0A", 400, "bad_cursor"],
    ["a cursor in other digits", "get_post/ann?since=%D9%A1-%D9%A2", 400, "bad_cursor"],
    ["another's poll", "get_post/bob?since=0", 403, "not_you"],
    ["another's plain poll", "get_post/bob", 403, "not_you"],
    ["a path that is not there", "nothing", 404, "not_found"],
    ["a path below one that is there", "login/more", 404, "not_found"],
    ["a name that is missing", "get_post/", 404, "not_found"],
  ])("%s", async (_, path, status, expected) => {
    expect(code(await ann.ask(path))).toEqual([status, expected]);
  });

  test.each([
    ["an empty message", "message=", FORM, 422, "bad_message"],
    ["no message", "", FORM, 422, "bad_message"],
    ["a message of line ends", "message=%0D%0A%0A", FORM, 422, "bad_message"],
    ["a message of 2,001 characters", `message=${"x".repeat(2001)}`, FORM, 422, "bad_message"],
    ["a message with a control character", "message=%00", FORM, 422, "bad_message"],
    ["a message with half a character", '{"message":"\\ud800"}', JSON_TYPE, 422, "bad_message"],
    ["a body that is not UTF-8", Buffer.from([0x6d, 0x3d, 0xff]), FORM, 400, "bad_request"],
    ["a body with broken percent-encoding", "message=%E4%BD", FORM, 400, "bad_request"],
    ["a body that is not JSON", "{", JSON_TYPE, 400, "bad_request"],
    ["a body that is another JSON", "[]", JSON_TYPE, 400, "bad_request"],
    ["a field that is no text", '{"message":1}', JSON_TYPE, 400, "bad_request"],
    ["a body of another type", "message=x", { "Content-Type": "text/plain" }, 415, "unsupported_type"],
    ["a body of no type", "message=x", {}, 415, "unsupported_type"],
    ["a multipart body", "x", { "Content-Type": "multipart/form-data; boundary=x" }, 415, "unsupported_type"],
    [
      "a body in another charset",
      "message=x",
      { "Content-Type": `${FORM["Content-Type"]};charset=gbk` },
      415,
      "unsupported_type",
    ],
    ["a compressed body", "message=x", { ...FORM, "Content-Encoding": "gzip" }, 415, "unsupported_type"],
    ["a body over 64 KiB", "x".repeat(65_537), FORM, 413, "too_large"],
    ["a body far over 64 KiB", "x".repeat(3_000_000), FORM, 413, "too_large"],
    [
      "a key that is too long",
      "message=x",
      { ...FORM, "Idempotency-Key": "k".repeat(65) },
      400,
      "bad_request",
    ],
    [
      "a post from another site",
      "message=x",
      { ...FORM, "Sec-Fetch-Site": "cross-site" },
      403,
      "foreign_origin",
    ],
    [
      "a post from a sibling site",
      "message=x",
      { ...FORM, "Sec-Fetch-Site": "same-site" },
      403,
      "foreign_origin",
    ],
    [
      "a post from another origin",
      "message=x",
      { ...FORM, Origin: "http://evil.example" },
      403,
      "foreign_origin",
    ],
    ["a post from nowhere", "message=x", { ...FORM, Origin: "null" }, 403, "foreign_origin"],
  ])("%s", async (_, body, headers, status, expected) => {
    const reply = await ann.ask("put_post/ann", { method: "POST", headers, body });
    expect(code(reply)).toEqual([status, expected]);
    expect(reply.headers["cache-control"]).toBe("no-store");
    if (status === 413) expect(reply.headers.connection).toBe("close");
  });

  test("a caller without a cookie, with a changed one, or with one that was logged out", async () => {
    const eve = await Person.login(running.url, "eve");
    expect(code(await ask(`${running.url}/get_post/ann?since=0`))).toEqual([401, "no_session"]);
    for (const cookie of [
      "holdline=",
      "holdline=x",
      "holdline=.",
      `${eve.cookie}x`,
      eve.cookie.slice(0, -2),
      "holdline=e30.e30",
    ]) {
      expect(
        code(await ask(`${running.url}/get_post/eve?since=0&wait=0`, { headers: { Cookie: cookie } })),
      ).toEqual([401, "no_session"]);
    }
    expect((await eve.poll("since=now&wait=0")).status).toBe(200);
    await eve.ask("logout", { method: "POST" });
    expect(code(await eve.poll("since=now&wait=0"))).toEqual([401, "no_session"]);
    expect(code(await eve.say("as a ghost"))).toEqual([401, "no_session"]);
  });

  test("a post as somebody else", async () => {
    const body = "message=x";
    expect(code(await ann.ask("put_post/bob", { method: "POST", headers: FORM, body }))).toEqual([
      403,
      "not_you",
    ]);
    expect(code(await ann.ask("leave/bob", { method: "POST" }))).toEqual([403, "not_you"]);
    for (const client of ["", "a%20b", "a".repeat(65)]) {
      expect(code(await ann.ask(`leave/ann?client=${client}`, { method: "POST" }))).toEqual([
        400,
        "bad_request",
      ]);
    }
  });

  test("a method that a path does not take, which is told which it does", async () => {
    const reply = await ann.ask("login", { method: "DELETE" });
    expect(code(reply)).toEqual([405, "method_not_allowed"]);
    expect(reply.headers.allow).toBe("GET, HEAD, POST");
    expect((await ann.ask("put_post/ann")).headers.allow).toBe("POST");
    expect((await ann.ask("get_post/ann", { method: "OPTIONS" })).status).toBe(405);
  });

  test("a poll too many, and everybody else goes on", async () => {
    const polls = ["a", "b", "c"].map((client) => ann.batch(`since=now&wait=60&client=${client}`));
    await until(() => running.chat.waiting === 3);
    const reply = await ann.poll("since=now&wait=60&client=d");
    expect(code(reply)).toEqual([503, "too_many_waiters"]);
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
    expect(code(await ann.ask("get_post/ann"))).toEqual([503, "too_many_waiters"]);
    // A poll that takes the place of an older one needs no place of its own, and one that does not wait none at all.
    const newer = ann.batch("since=now&wait=60&client=a");
    expect(await polls[0]).toMatchObject({ superseded: true });
    expect(await ann.batch("since=now&wait=0")).toMatchObject({ messages: [] });
    await ann.post("all of you");
    for (const poll of [...polls.slice(1), newer]) expect((await poll).messages).toHaveLength(1);
  });
});

describe("names", () => {
  const login = (name: string, headers = {}) =>
    ask(`${running.url}/login`, { method: "POST", headers: { ...FORM, ...headers }, body: `name=${name}` });

  test.each([
    ["an empty one", ""],
    ["only spaces", "%20%09"],
    ["33 characters", "x".repeat(33)],
    ["a slash", "a%2Fb"],
    ["a backslash", "a%5Cb"],
    ["a dot", "."],
    ["two dots", ".."],
    ["a control character", "a%00b"],
    ["a line end", "a%0Ab"],
    ["a zero-width space", "a%E2%80%8Bb"],
    ["a bidi override", "a%E2%80%AEb"],
    ["a private-use character", "a%EE%80%80b"],
  ])("%s is no name", async (_, name) => {
    expect(code(await login(name))).toEqual([422, "bad_name"]);
  });

  test("32 characters, emoji, other scripts, and words with a meaning in JavaScript are names", async () => {
    for (const name of ["😀".repeat(32), "张伟", "a:b", "__proto__", "constructor", "%25", "a b?#&"]) {
      const reply = await login(encodeURIComponent(name));
      expect(reply.status).toBe(303);
      expect(reply.headers.location).toBe(`chatroom/${encodeURIComponent(name)}/`);
      const person = await Person.login(running.url, `${name.slice(0, 2)}2`);
      expect((await person.poll("since=0&wait=0")).status).toBe(200);
    }
  });

  test("a name that another live session holds is taken, however it is written", async () => {
    for (const name of ["ann", "ANN", "%EF%BD%81nn", "%20ann%20"]) {
      expect(code(await login(name))).toEqual([409, "name_taken"]);
    }
    const own = await login("ann", { Cookie: ann.cookie });
    expect(own.status).toBe(303);
    ann.cookie = cookieOf(own);
  });

  test("of two who race for one name, one gets it", async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => login("race")));
    expect(replies.filter((reply) => reply.status === 303)).toHaveLength(1);
    expect(replies.filter((reply) => reply.status === 409)).toHaveLength(19);
  });

  test("a logout frees the name at once, and a new name in the same browser frees the old one", async () => {
    const eve = await Person.login(running.url, "eve");
    await eve.batch("since=now&wait=0");
    const reply = await eve.ask("logout", { method: "POST" });
    expect([reply.status, reply.headers.location]).toEqual([303, "login"]);
    expect(reply.headers["set-cookie"]?.[0]).toMatch(/^holdline=; Max-Age=0; HttpOnly; SameSite=Lax$/);
    const other = await Person.login(running.url, "eve");
    expect((await login("eva", { Cookie: other.cookie })).status).toBe(303);
    await Person.login(running.url, "eve");
    expect((await other.poll("since=now&wait=0")).status).toBe(401);
  });

  test("a browser that is refused sees the form again, with the reason and what was typed", async () => {
    const html = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
    const taken = await login("ann", html);
    expect(taken.status).toBe(409);
    expect(taken.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(taken.body).toContain('value="ann"');
    const bad = await login("%22%3E%3Cscript%3E/", html);
    expect(bad.status).toBe(422);
    expect(bad.body).not.toContain("<script>/");
  });
});

describe("cursors", () => {
  test("from before the backlog, from the future, and of another history are told of the gap", async () => {
    const { cursor: old } = await ann.batch("since=now&wait=0");
    for (let n = 0; n < 12; n++) await ann.post(`m${n}`);
    const kept = Array.from({ length: 10 }, (_, n) => `m${n + 2}`);
    for (const since of [
      old,
      "0-0",
      "1-1",
      "99999999999999-0",
      "18446744073709551615-18446744073709551615",
    ]) {
      const batch = await ann.batch(`since=${since}&wait=60`);
      expect(batch.gap).toBe(true);
      expect(batch.messages.map((message) => message.text)).toEqual(kept);
      expect(await ann.batch(`since=${batch.cursor}&wait=0`)).not.toHaveProperty("gap");
    }
    const all = await ann.batch("since=0&wait=60");
    expect(all).not.toHaveProperty("gap");
    expect(all.messages).toHaveLength(10);
  });

  test("that are good read on from where they are, percent-encoded or not", async () => {
    const one = await ann.post("one");
    const two = await ann.post("two");
    for (const since of [one, one.replace("-", "%2D")]) {
      expect(await ann.batch(`since=${since}`)).toMatchObject({ cursor: two, messages: [{ text: "two" }] });
    }
  });

  test("come with every reply: at the end of a wait, to a superseded poll, and to one without news", async () => {
    const id = await ann.post("last");
    expect(await ann.batch("since=now&wait=0.01")).toMatchObject({ cursor: id, messages: [] });
    const held = ann.batch(`since=${id}&wait=60&client=x`);
    await until(() => running.chat.waiting === 1);
    expect((await ann.batch("since=now&wait=0&client=x")).cursor).toBe(id);
    expect(await held).toEqual({ cursor: id, present: expect.any(Number), messages: [], superseded: true });
  });
});
