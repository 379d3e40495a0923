/** The cookie of plain polls (without `since`): its content, and the position of its caller. */
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat, until } from "./chat.js";
import { ask, Person, type Reply } from "./person.js";
import { hear } from "./raw.js";

let running: Running;
let bob: Person;
beforeEach(async () => {
  running = await startChat({ backlog: 5, maxWaitersPerUser: 4, trustProxy: true });
  bob = await Person.login(running.url, "bob");
  // Bob's join notice must not come between the messages of a test.
  while ((await bob.batch("since=0&wait=0")).messages.length === 0);
});
afterEach(async () => {
  await running.close();
  expect(running.log).toEqual([]);
});

/** Posts texts in order. */
async function say(...texts: string[]): Promise<void> {
  for (const text of texts) await running.chat.post({ user: "ann", text });
}

/** Returns the mark of the session and the cursor in the cookie of a reply. */
function cookieOf({ headers }: Pick<Reply, "headers">): { mark: string; cursor: string; attributes: string } {
  const [cookie = ""] = headers["set-cookie"] ?? [];
  const [, mark = "", cursor = "", attributes = ""] =
    /^holdline-plain=([\w-]+)\.(\d+-\d+); (.*)$/.exec(cookie) ?? [];
  return { mark, cursor, attributes };
}

/** Sends a plain poll with Bob's session and these cookies. */
const poll = (...cookies: string[]) =>
  bob.ask("get_post/bob", { headers: { Cookie: [bob.cookie, ...cookies].join("; ") } });
/** Returns the text of its reply. */
const text = async (...cookies: string[]) => JSON.parse((await poll(...cookies)).body) as string;

describe("the cookie of a plain poll", () => {
  test("holds the session and the cursor, ends with the browser, and is HttpOnly", async () => {
    await say("one");
    const reply = await poll();
    const { cursor } = await bob.batch("since=now&wait=0");
    expect(cookieOf(reply)).toEqual({
      mark: expect.any(String),
      cursor,
      attributes: "HttpOnly; SameSite=Lax",
    });
    await say("two");
    const headers = { Cookie: bob.cookie, "X-Forwarded-Proto": "https" };
    const secure = await bob.ask("get_post/bob", { headers });
    expect(cookieOf(secure).attributes).toBe("HttpOnly; SameSite=Lax; Secure");
  });

  test("does not reveal the session", async () => {
    await say("one");
    const { mark } = cookieOf(await poll());
    const [payload = ""] = bob.cookie.split("=")[1]?.split(".") ?? [];
    const session = Buffer.from(payload, "base64url").toString();
    expect(mark.length).toBeGreaterThan(10);
    for (let at = 0; at + 6 <= mark.length; at++) expect(session).not.toContain(mark.slice(at, at + 6));
  });

  test("is set at the log-in already, for polls on any process", async () => {
    await say("before");
    const { cursor } = await bob.batch("since=now&wait=0");
    const cat = await Person.login(running.url, "cat");
    expect(cat.jar.get("holdline-plain")).toMatch(new RegExp(`^[\\w-]+\\.${cursor}$`));
  });

  test("moves past notices with an empty reply", async () => {
    const cat = await Person.login(running.url, "cat");
    await cat.batch("since=now&wait=0");
    // Both users are present.
    let { cursor, messages } = await bob.batch("since=0&wait=0");
    while (messages.length < 2) ({ cursor, messages } = await bob.batch("since=0&wait=0"));
    const reply = await soon();
    expect(reply.body).toBe('""\n');
    expect(cookieOf(reply).cursor).toBe(cursor);
  });

  test("is neither set nor moved by a HEAD", async () => {
    await say("one");
    const headers = { Cookie: bob.cookies };
    for (let n = 0; n < 4; n++) {
      const head = await bob.ask("get_post/bob", { method: "HEAD", headers });
      expect([head.status, head.headers["set-cookie"]]).toEqual([200, undefined]);
    }
    expect(await bob.plain()).toBe("one");
  });
});

/** Sends a plain poll that is answered at once because it is pipelined. */
async function soon(): Promise<Pick<Reply, "headers" | "body">> {
  const head = `HTTP/1.1\r\nHost: x\r\nCookie: ${bob.cookies}\r\n`;
  const { text } = await hear(
    Number(new URL(running.url).port),
    `GET /healthz ${head}\r\nGET /get_post/bob ${head}Connection: close\r\n\r\n`,
  );
  const [, , rest = ""] = text.split("HTTP/1.1 200 OK\r\n");
  const [lines = "", body = ""] = rest.split("\r\n\r\n");
  const cookies = [...lines.matchAll(/^Set-Cookie: (.*)$/gm)].map(([, cookie = ""]) => cookie);
  return { headers: { "set-cookie": cookies }, body };
}

describe("a caller with the cookie", () => {
  test("loses nothing if it closes its connection while the message arrives", async () => {
    for (let n = 0; n < 20; n++) {
      const socket = connect(Number(new URL(running.url).port), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(`GET /get_post/bob HTTP/1.1\r\nHost: x\r\nCookie: ${bob.cookies}\r\n\r\n`);
      await until(() => running.chat.waiting === 1);
      // The post's reply arrives while the loop reads sockets, so the poll's reply is written before the loop reads the end of its socket.
      await ask(`${running.url}/healthz`);
      socket.destroy();
      await say(`kept ${n}`);
      expect(await bob.plain()).toBe(`kept ${n}`);
    }
  });

  test("continues at its own position, also when other callers of the session are further", async () => {
    await say("one", "two", "three");
    expect([await bob.plain(), await bob.plain()]).toEqual(["one", "two"]);
    expect([await text(), await bob.plain()]).toEqual(["three", "three"]);
  });

  test("continues at its position with polls by POST", async () => {
    await say("one", "two");
    expect(await bob.plain({ method: "POST" })).toBe("one");
    expect(await text(bob.cookies)).toBe("two");
  });

  test("gets the kept messages if the cookie is older than the backlog", async () => {
    await say("1", "2", "3", "4", "5", "6", "7");
    expect([await bob.plain(), await bob.plain()]).toEqual(["3", "4"]);
  });

  test("continues at the first cookie of its session if a browser sends two", async () => {
    await say("one", "two");
    const [, login = ""] = bob.cookies.split("; ");
    await bob.plain();
    const [, last = ""] = bob.cookies.split("; ");
    expect(await text("holdline-plain=foreign.0-1", last, login)).toBe("two");
  });

  test("starts at the last page view at the earliest", async () => {
    await say("one", "two");
    await bob.plain();
    const old = bob.cookies;
    await bob.ask("chatroom/bob/");
    await say("after the page");
    expect(await text(old)).toBe("after the page");
    await bob.ask("logout", { method: "POST" });
    bob = await Person.login(running.url, "bob");
    await say("after the log-in");
    expect(await text(old.split("; ")[1] ?? "")).toBe("after the log-in");
  });
});

describe("a caller that repeats one cookie", () => {
  test("gets a text three times, and then each text once", async () => {
    await say("one", "two", "three");
    const first = bob.cookies;
    const texts = [];
    for (let n = 0; n < 5; n++) texts.push(await text(first));
    expect(texts).toEqual(["one", "one", "one", "two", "three"]);
  });

  test("continues by cookie as soon as the cookie changes", async () => {
    await say("one", "two", "three");
    const first = bob.cookies;
    for (const _ of "123") expect(await text(first)).toBe("one");
    const reply = await poll(first);
    expect(reply.body).toBe('"two"\n');
    const moved = reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    for (const _ of "123") expect(await text(moved)).toBe("three");
  });

  test("gets a text again that four pages lost at once", async () => {
    const first = bob.cookies;
    const polls = Array.from({ length: 4 }, () => text(first));
    await until(() => running.chat.waiting === 4);
    await say("one");
    expect(await Promise.all(polls)).toEqual(["one", "one", "one", "one"]);
    expect(await text(first)).toBe("one");
  });

  test("gets a text again after the room was full", async () => {
    await say("one");
    const first = bob.cookies;
    expect(await text(first)).toBe("one");
    const polls = ["a", "b", "c", "d"].map((client) => bob.poll(`since=now&wait=60&client=${client}`));
    await until(() => running.chat.waiting === 4);
    for (let n = 0; n < 4; n++) expect((await poll(first)).status).toBe(503);
    await bob.ask("leave/bob", { method: "POST" });
    await Promise.all(polls);
    expect(await text(first)).toBe("one");
  });
});
