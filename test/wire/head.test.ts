/** HEAD changes nothing: no presence, notice, cursor, poll, name or cookie. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { chatPerTest, until } from "./chat.js";
import { ask, login, Person, texts } from "./person.js";

const start = chatPerTest();
afterEach(() => {
  vi.useRealTimers();
});

const PATHS = [
  "",
  "login",
  "chatroom/ann",
  "chatroom/ann/",
  "chatroom/ann/?still",
  "who",
  "get_post/ann",
  "get_post/ann?since=0&wait=60&client=a",
  "get_post/ann?since=now&wait=60&client=a",
  "healthz",
  "chat.css",
];

/** Sends a HEAD for every path with a GET. */
async function headAll(person: Person): Promise<void> {
  for (const path of PATHS) {
    const { status, body, headers } = await person.ask(path, { method: "HEAD" });
    expect([path, body, headers["set-cookie"]]).toEqual([path, "", undefined]);
    expect([200, 303, 308]).toContain(status);
  }
}

describe("HEAD", () => {
  test("makes no user present and creates no notice", async () => {
    const { url, chat } = await start();
    const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
    await headAll(ann);
    expect(chat.present).toEqual([]);
    const { messages, present } = await bob.batch("since=0&wait=0");
    expect([texts({ messages, present, cursor: "0" }), present]).toEqual([[], 1]);
    expect(messages.map(({ user }) => user)).not.toContain("ann");
  });

  test("moves no cursor and supersedes no poll", async () => {
    const { url, chat } = await start();
    const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
    await bob.post("one");
    const held = ann.batch("since=now&wait=60&client=a");
    await until(() => chat.waiting === 1);
    await headAll(ann);
    expect(chat.waiting).toBe(1);
    expect(await ann.plain()).toBe("one");
    await bob.post("two");
    expect(texts(await held)).toEqual(["two"]);
  });

  test("renews no cookie", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 2 * 24 * 3600 * 1000);
    await headAll(ann);
    expect((await ann.ask("who")).headers["set-cookie"]).toHaveLength(1);
  });

  test("claims no name after a restart", async () => {
    const secrets: [string] = ["kept"];
    const before = await start({ secrets });
    const ann = await Person.login(before.url, "ann");
    const after = await start({ secrets });
    const home = (cookie: string, method: string) =>
      ask(`${after.url}/`, { method, headers: { Cookie: cookie } }).then(({ headers }) => headers.location);
    // The cookie is still valid. A GET would claim the name.
    expect(await home(ann.cookie, "HEAD")).toBe("chatroom/ann/");
    expect((await login(after.url, "ann")).status).toBe(303);
    expect(await home(ann.cookie, "HEAD")).toBe("login");
  });

  test("changes nothing behind a host's log-in", async () => {
    const { url, chat } = await start({ identify: ({ headers }) => String(headers["x-user"]) });
    for (const path of PATHS.filter((path) => path !== "login")) {
      await ask(`${url}/${path}`, { method: "HEAD", headers: { "X-User": "ann" } });
    }
    expect(chat.present).toEqual([]);
    const reply = await ask(`${url}/get_post/bob?since=0&wait=0`, { headers: { "X-User": "bob" } });
    expect(reply.body).not.toContain("ann");
  });

  test("returns the head of GET, also for a poll", async () => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    await ann.post("hello");
    await ann.batch("since=0&wait=0");
    const path = "get_post/ann?since=0&wait=0";
    const [get, head] = [await ann.ask(path), await ann.ask(path, { method: "HEAD" })];
    const { date: _, ...expected } = get.headers;
    expect(head.headers).toMatchObject(expected);
  });
});
