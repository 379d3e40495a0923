/** Cross-site requests, which a browser sends without its user's intent. */
import { describe, expect, test } from "vitest";
import { chatPerTest } from "./chat.js";
import { code, FORM, HOST, HTML, Person } from "./person.js";

const start = chatPerTest();

describe("a cross-site request", () => {
  const posts = ["login", "logout", "put_post/ann", "get_post/ann?since=now&wait=0", "leave/ann"];
  const foreign: [string, Record<string, string>][] = [
    ["cross-site", { "Sec-Fetch-Site": "cross-site" }],
    ["same-site", { "Sec-Fetch-Site": "same-site" }],
    ["a word nobody knows", { "Sec-Fetch-Site": "x" }],
    ["two words", { "Sec-Fetch-Site": "same-origin, same-origin" }],
    ["cross-site under our own origin", { "Sec-Fetch-Site": "cross-site", Origin: "http://HOST" }],
    ["another origin", { Origin: "https://evil.example" }],
    ["an origin that begins like ours", { Origin: "http://HOST.evil.example" }],
    ["an origin with our host for its user", { Origin: "http://HOST@evil.example" }],
    ["our host without a scheme", { Origin: "HOST" }],
    ["another scheme", { Origin: "ftp://HOST" }],
    ["another default port", { Origin: "https://a", Host: "a:80" }],
    ["the port of another scheme", { Origin: "http://a", Host: "a:443" }],
    ["a host that is none", { Origin: "http://a", Host: "a:b" }],
    ["an origin that ends like ours", { Origin: "http://evil-HOST" }],
    ["another port", { Origin: "http://127.0.0.1:1" }],
    ["no origin to speak of", { Origin: "null" }],
    ["its own host in a header that only a proxy may set", { Origin: "http://a", "X-Forwarded-Host": "a" }],
  ];

  test.each(foreign)("from %s cannot post, on any route", async (_, headers) => {
    const { url } = await start();
    const ann = await Person.login(url, "ann");
    const filled = Object.entries(headers).map(([name, value]) => [name, value.replace("HOST", HOST)]);
    for (const path of posts) {
      const body = "name=eve&message=forged";
      const reply = await ann.ask(path, {
        method: "POST",
        headers: { ...FORM, ...Object.fromEntries(filled) },
        body,
      });
      expect([path, ...code(reply)]).toEqual([path, 403, "foreign_origin"]);
    }
    expect((await ann.batch("since=0&wait=0")).messages.filter(({ text }) => text !== "")).toEqual([]);
  });

  test.each(["cross-site", "same-site"])("from %s moves no cursor", async (site) => {
    const { url, chat } = await start();
    const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
    await bob.post("one");
    const headers = { ...HTML, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate" };
    for (const path of [
      "get_post/ann",
      "get_post/ann?since=0&wait=0",
      "get_post/ann?since=0&wait=0&client=a",
    ]) {
      for (const more of [{}, { Accept: "*/*" }]) {
        const reply = await ann.ask(path, { headers: { ...headers, ...more } });
        expect([path, reply.status, reply.headers["set-cookie"]]).toEqual([path, 403, undefined]);
      }
    }
    expect(code(await ann.ask("get_post/ann", { headers: { "Sec-Fetch-Site": site } }))).toEqual([
      403,
      "foreign_origin",
    ]);
    // A link to the room opens it.
    expect((await ann.ask("chatroom/ann/", { headers })).status).toBe(200);
    expect(chat.present).toEqual([]);
    expect(await ann.plain({ headers: { "Sec-Fetch-Site": "same-origin" } })).toBe("one");
  });

  test("is told apart from our own page, an address bar, a trusted proxy and a client without a browser", async () => {
    const { url } = await start({ trustProxy: true });
    const ann = await Person.login(url, "ann");
    for (const headers of [
      {},
      { "Sec-Fetch-Site": "same-origin" },
      { "Sec-Fetch-Site": "none" },
      { Origin: `http://${HOST}` },
      { Origin: "https://chat.example", "X-Forwarded-Host": "chat.example" },
      { Origin: "https://chat.example", "X-Forwarded-Host": "evil.example, chat.example" },
      { Origin: "https://chat.example", "X-Forwarded-Host": "chat.example:443" },
      { Origin: "http://chat.example", "X-Forwarded-Host": "CHAT.example:80" },
      { Origin: "http://[::1]", "X-Forwarded-Host": "[::1]:80" },
    ]) {
      expect((await ann.say("mine", headers)).status).toBe(200);
    }
    expect(
      code(await ann.say("x", { Origin: "https://evil.example", "X-Forwarded-Host": "evil.example, chat" })),
    ).toEqual([403, "foreign_origin"]);
  });
});
