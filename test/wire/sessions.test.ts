/** Sessions: their cookies, also forged ones, and sessions that end during a request. More rules are in the kit. */
import crypto, { createHmac } from "node:crypto";
import { once } from "node:events";
import { syncBuiltinESMExports } from "node:module";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { MemoryStore } from "../../src/index.js";
import { moveDate, type Running, start, startRoom, until } from "./chat.js";
import { ask, code, cookieOf, login, Person, sign, texts } from "./person.js";
import { dial, post } from "./raw.js";

const DAY = 24 * 3600 * 1000;

/** Returns where `/` redirects a user to. */
const home = async (person: Person, headers = {}, method = "GET") =>
  (await person.ask("", { headers, method })).headers.location;

test("a session ends thirty days after its cookie was signed, unless the cookie is renewed", async () => {
  const { ann } = await startRoom();
  moveDate(30 * DAY - 60_000);
  expect(await ann.status()).toBe(200);
  const renewed = cookieOf(await ann.ask("who"));
  moveDate(120_000);
  expect(await ann.status()).toBe(401);
  for (const path of ["", "who"]) expect(cookieOf(await ann.ask(path))).toBe("");
  ann.cookie = renewed;
  expect(await ann.status()).toBe(200);
});

test("a GET of / or /who renews a cookie after a day, in the same session, and a log-out ends all its cookies", async () => {
  const { ann } = await startRoom({ trustProxy: true });
  const renew = async (path: string, headers = {}, method = "GET") =>
    (await ann.ask(path, { headers, method })).headers["set-cookie"]?.find((one) => /^holdline=/.test(one));
  const cookies = [ann.cookie];
  moveDate(DAY - 60_000);
  for (const path of ["", "who"]) expect(await renew(path)).toBeUndefined();
  moveDate(120_000);
  for (const path of ["", "who"]) {
    expect(await renew(path, {}, "HEAD")).toBeUndefined();
    const cookie = (await renew(path)) ?? "";
    expect(cookie).toMatch(/^holdline=[\w.-]+; Max-Age=2592000; HttpOnly; SameSite=Lax$/);
    expect(await renew(path, { "X-Forwarded-Proto": "https" })).toMatch(/; Secure$/);
    const headers = { Cookie: cookie.split(";")[0] ?? "" };
    expect((await ann.say("still me", headers)).status).toBe(200);
    expect(await renew(path, headers)).toBeUndefined();
    cookies.push(headers.Cookie);
  }
  // There, the cookie's Path would differ.
  for (const path of ["chatroom/ann/", "get_post/ann?since=0&wait=0", "login", "healthz", "chat.css"])
    expect([path, await renew(path)]).toEqual([path, undefined]);
  await ann.logout();
  for (const Cookie of cookies) expect((await ann.say("x", { Cookie })).status).toBe(401);
});

test("the cookie's name has the port that the caller knows, if it is no default port", async () => {
  const [alone, behindProxy] = [await start(), await start({ trustProxy: true })];
  const proxied = { Host: "10.0.0.1:5000", "X-Forwarded-Host": "a.test:1, chat.test:8443" };
  for (const [{ url }, headers, name] of [
    [alone, { Host: "chat.test:5000" }, "holdline_5000"],
    [alone, { Host: "[::1]:5000" }, "holdline_5000"],
    [alone, { Host: "chat.test" }, "holdline"],
    [alone, { Host: "chat.test:80" }, "holdline"],
    [alone, { Host: "chat.test:443" }, "holdline"],
    [alone, { Host: "[::1]" }, "holdline"],
    [alone, { Host: "chat.test:x" }, "holdline"],
    [alone, proxied, "holdline_5000"],
    [behindProxy, proxied, "holdline_8443"],
  ] as const) {
    const person = Person.of(url, "ann", await login(url, "ann", headers));
    expect([headers, person.cookie.split("=")[0]]).toEqual([headers, name]);
    expect(await home(person, headers)).toBe("chatroom/ann/");
    expect(await home(person, { Host: "chat.test:1" })).toBe("login");
    await person.send("logout", "", headers);
  }
});

test("a valid cookie is verified once, also with other and forged cookies beside it", async () => {
  const { ann } = await startRoom();
  onTestFinished(syncBuiltinESMExports);
  const [name = "", value = ""] = ann.cookie.split("=");
  const status = async (Cookie: string) =>
    (await ann.poll("since=now&wait=0", { headers: { Cookie } })).status;
  expect(await status(ann.cookie)).toBe(200);
  const hmac = vi.spyOn(crypto, "createHmac");
  syncBuiltinESMExports();
  for (const other of ["a=1", "a=2", `b=${"x".repeat(2000)}`]) {
    expect(await status(`${other}; ${ann.cookie}`)).toBe(200);
    expect(await status(`${ann.cookie}; ${other}`)).toBe(200);
  }
  expect(hmac).not.toHaveBeenCalled();
  // Another spelling of the signature would be another entry in the cache.
  for (const spelling of [`${value}!`, `${value}=`, `${value.replace(".", ".!")}`])
    expect([spelling, await status(`${name}=${spelling}`)]).toEqual([spelling, 401]);
});

test("secrets rotate: the first signs, all are accepted, and a removed one is not", async () => {
  const { ann } = await startRoom({ secrets: ["first"] });
  const during = ann.at(await start({ secrets: ["second", Buffer.from("first")] }));
  expect(await home(during)).toBe("chatroom/ann/");
  moveDate(2 * DAY);
  const renewed = cookieOf(await during.ask("who"));
  const after = ann.at(await start({ secrets: ["second"] }));
  expect(await home(after)).toBe("login");
  expect(await home(after, { Cookie: renewed })).toBe("chatroom/ann/");
  // Without the option, each chat has a random one.
  expect(await home((await startRoom()).ann.at(await start()))).toBe("login");
});

test("after a restart a valid cookie owns its name again until a newer one comes, and a HEAD holds no name", async () => {
  const secrets: [string] = ["kept"];
  const before = await start({ secrets, grace: 1 });
  const older = await Person.login(before.url, "ann");
  await older.leave();
  const newer = await Person.login(before.url, "ann");
  const after = await start({ secrets });
  const [old, current] = [older.at(after), newer.at(after)];
  expect([await old.status(), await current.status(), await old.status()]).toEqual([200, 200, 401]);
  const another = await start({ secrets, store: new MemoryStore() });
  expect(await home(newer.at(another), {}, "HEAD")).toBe("chatroom/ann/");
  expect((await login(another.url, "ann")).status).toBe(303);
  expect(await home(newer.at(another), {}, "HEAD")).toBe("login");
});

test("a forged cookie is 401, opens no page and ends no session", async () => {
  const { url, ann, bob } = await startRoom({ secrets: ["new", "old"] });
  const parts = ({ cookie }: Person) => cookie.slice("holdline=".length).split(".") as [string, string];
  const [[annPayload, annMac], [bobPayload, bobMac]] = [parts(ann), parts(bob)];
  const decode = (value: string) => Buffer.from(value, "base64url").toString();
  const text = decode(annPayload);
  const hmac = (how: string, over: string) => createHmac(how, "new").update(over).digest("base64url");
  const changed = Buffer.from(decode(bobPayload).replace("bob", "ann")).toString("base64url");
  // Signed, but not as sessions.
  const strange =
    'hello||null|ann|["ann","x",1,2]|x 1 2|x 1 2 |x one 2 ann| 1 2 ann|x 1 two ann|form 1 2'.split("|");
  for (const value of [
    ...[`${annPayload}.${bobMac}`, `${bobPayload}.${annMac}`, `${changed}.${bobMac}`],
    ...[`${annPayload}.`, `.${annMac}`, annPayload, `${annPayload}.${annMac.slice(0, -1)}`],
    ...[`${annPayload.slice(0, -1)}.${annMac}`, `${annPayload}.${annMac.slice(0, 21)}`],
    ...[`${annPayload}.${annMac}.${annMac}`, `"${annPayload}.${annMac}`, "__proto__", "x".repeat(8000)],
    ...[`${annPayload}.${hmac("sha1", annPayload)}`, `${annPayload}.${hmac("sha256", text)}`],
    ...[sign(text, "another"), sign(text, ""), ...strange.map((one) => sign(one, "new"))],
  ]) {
    const Cookie = `holdline=${value}`;
    const headers = { Cookie };
    const statuses = [await ann.poll("since=0&wait=0", { headers }), await ann.poll("", { headers })];
    statuses.push(await ann.say("forged", headers), await ann.send("leave/ann", "", headers));
    statuses.push(await login(url, "ann", headers), await ann.send("logout", "", headers));
    expect([value, statuses.map(({ status }) => status)]).toEqual([value, [401, 401, 401, 401, 409, 303]]);
    for (const path of ["", "chatroom/ann/"])
      expect((await ask(`${url}/${path}`, { headers })).headers.location).toMatch(/^(\.\.\/\.\.\/)?login$/);
  }
  expect((await ann.batch("since=0&wait=0")).messages.filter(({ kind }) => !kind)).toEqual([]);
  // Of several cookies, the first valid one counts.
  for (const [Cookie, status] of [
    [`${bob.cookie}; ${ann.cookie}`, 403],
    [`${ann.cookie}; ${bob.cookie}`, 200],
    [`holdline=x; holdline=${"a".repeat(5_000)}.b; holdline=c.d; ${ann.cookie}`, 200],
    [`xholdline=1; Holdline=2; holdline2=3; a; =; __proto__=4; ${ann.cookie}`, 200],
    // Some proxies join cookies without a space.
    [`a=1;${ann.cookie};b="2"`, 200],
    [`a=${ann.cookie}`, 401],
  ] as const)
    expect((await ann.poll("since=0&wait=0", { headers: { Cookie } })).status).toBe(status);
});

/** Sends a POST without the last byte of its body. Resolves when a handler has it. `finish` sends the rest. */
async function begin({ port, server }: Running, path: string, header: string, body: string) {
  const arrived = once(server, "request");
  const bytes = post(`/${path}`, body, "Connection: close", header);
  const line = dial(port, bytes.slice(0, -1));
  await arrived;
  return async function finish(): Promise<[number, string]> {
    line.send(bytes.slice(-1));
    const { text, statuses } = await line.closed;
    return code({ status: statuses[0] ?? 0, body: text.split("\r\n\r\n")[1] ?? "" });
  };
}

/** The routes that read a body from a member. */
describe.each([
  ["a post", "put_post/ann", "message=I+resign"],
  ["a poll with a cursor", "get_post/ann", "since=0&wait=0"],
  ["a poll without a cursor", "get_post/ann", "x=1"],
  ["a leave", "leave/ann", "x=1"],
])("%s whose body still arrives", (_, path, body) => {
  test.each(["logout", "leave/ann"])(
    "is refused when %s ends its session and another takes the name",
    async (end) => {
      const running = await start();
      const { url, chat } = running;
      const eve = await Person.login(url, "ann");
      const finish = await begin(running, path, `Cookie: ${eve.cookie}`, body);
      await eve.send(end);
      const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
      await bob.post("for ann");
      const poll = ann.batch("since=now&wait=60&client=a");
      await until(() => chat.waiting === 1);
      expect(await finish()).toEqual([401, "no_session"]);
      expect(chat.waiting).toBe(1);
      await bob.post("more");
      expect(texts(await poll)).toEqual(["more"]);
      expect(await ann.plain()).toBe("for ann");
      expect(texts(await bob.batch("since=0&wait=0"))).toEqual(["for ann", "more"]);
    },
  );

  test("is refused when the host, which answers at once or later, ends or changes the session", async () => {
    let name: string | undefined;
    for (const isLater of [false, true]) {
      const running = await start({ identify: () => (isLater ? Promise.resolve(name) : name) });
      for (const [next, refusal] of [
        [undefined, [401, "no_session"]],
        ["bob", [403, "not_you"]],
      ] as const) {
        name = "ann";
        const finish = await begin(running, path, "X: y", body);
        // The host's first answer is used by then: the server reads the body.
        await new Promise(setImmediate);
        name = next;
        expect(await finish()).toEqual(refusal);
      }
      const said = running.chat.follow({ since: "0" });
      await running.chat.post({ user: "bot", text: "nothing so far" });
      expect((await said.next()).value.events).toMatchObject([{ text: "nothing so far" }]);
    }
  });

  test("is refused without a session before its body is read", async () => {
    const { port } = await start();
    const { text, socket } = dial(port, post(`/${path}`, "x".repeat(10)).slice(0, -10));
    await until(() => text().startsWith("HTTP/1.1 401 "));
    socket.destroy();
  });
});
