/** Connections over bare sockets: requests in pieces, several in one packet, HTTP/1.0, and bytes that are not HTTP. */
import { about } from "../runner.js";
import { FORM, type RawReply, repliesIn } from "../site.js";
import type { Trial } from "../trial.js";

const { cases, add } = about("connections");
export const connections = cases;

const statuses = (replies: readonly RawReply[]) => replies.map(({ status }) => status);

add(
  "a request with Connection: close gets a reply and then the connection closes",
  "RFC 9112, 9.6",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    await ann.post("then close");
    const head = t.site.head(
      "GET",
      `get_post/${ann.segment}?since=${since}&wait=5`,
      `Cookie: ${ann.cookie}`,
      "Connection: close",
    );
    const began = performance.now();
    const text = await t.site.raw(`${head}\r\n`);
    t.equal("GET with Connection: close", statuses(repliesIn(text)), [200]);
    t.expect(
      "GET with Connection: close",
      "a connection that closes",
      performance.now() - began < 10_000,
      "one that stays",
    );
  },
);

add(
  "a poll over HTTP/1.0 is held and answered, and then its connection closes",
  "RFC 9112, 9.3",
  "together",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    const since = await bob.end();
    const text = t.site.raw(
      `GET ${t.site.target(`get_post/${bob.segment}?since=${since}&wait=8`)} HTTP/1.0\r\nHost: ${t.site.base.host}\r\nCookie: ${bob.cookie}\r\n\r\n`,
    );
    await t.settle();
    await ann.post("to 1.0");
    const [reply] = repliesIn(await text);
    t.equal("GET …since=… HTTP/1.0, held, then a post: the status", reply?.status, 200);
    t.expect(
      "GET …since=… HTTP/1.0, held, then a post",
      "an answer that HTTP/1.0 can read",
      !/transfer-encoding/i.test(reply?.head ?? ""),
      reply?.head,
    );
  },
);

/** Sends requests in one packet and reads their replies. The last one closes the connection. */
async function pipeline(t: Trial, ...requests: readonly string[]): Promise<RawReply[]> {
  const replies = repliesIn(await t.site.raw(requests.join("")));
  t.equal(
    `in one packet: ${requests.map((request) => request.split("\r\n")[0]).join(", ")}: how many replies`,
    replies.length,
    requests.length,
  );
  return replies;
}

add(
  "a poll and a post in one packet get their replies in this order, and nothing is lost",
  "RFC 9112, 9.3.2",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const cookie = `Cookie: ${ann.cookie}`;
    const poll = `${t.site.head("GET", `get_post/${ann.segment}?since=${since}&wait=2`, cookie)}\r\n`;
    const post = (text: string, ...more: string[]) =>
      `${t.site.head("POST", `put_post/${ann.segment}`, cookie, `Content-Type: ${FORM["Content-Type"]}`, `Content-Length: ${8 + text.length}`, ...more)}\r\nmessage=${text}`;
    const [first, second] = await pipeline(t, poll, post("one", "Connection: close"));
    t.expect(
      "a poll and a post in one packet",
      "the batch first, then the id",
      first?.body.includes('"messages"') === true && second?.body.includes('"id"') === true,
      [first?.body, second?.body],
    );
    const last = `${t.site.head("GET", `get_post/${ann.segment}?since=${since}&wait=2`, cookie, "Connection: close")}\r\n`;
    const [posted] = await pipeline(t, post("two"), last);
    t.equal("a post and a poll in one packet: the first status", posted?.status, 200);
    await t.hears(ann, since, ["one", "two"]);
  },
);

add("ten requests in one packet get ten replies, in order", "RFC 9112, 9.3.2", "together", async (t) => {
  const paths = [
    "healthz",
    "login",
    "nothing",
    "healthz",
    "who",
    "login",
    "nothing",
    "healthz",
    "nothing",
    "healthz",
  ];
  const requests = paths.map(
    (path, n) => `${t.site.head("GET", path, n === 9 ? "Connection: close" : "X: y")}\r\n`,
  );
  const replies = await pipeline(t, ...requests);
  t.equal(
    "ten GETs in one packet: the statuses",
    statuses(replies),
    paths.map((path) => (path === "nothing" ? 404 : 200)),
  );
});

add("a request that arrives byte by byte is answered", "RFC 9112, 2", "together", async (t) => {
  const request = `${t.site.head("GET", "healthz", "Connection: close")}\r\n`;
  t.equal("GET /healthz, byte by byte", statuses(repliesIn(await t.site.raw(...request))), [200]);
});

add(
  "bytes that are not HTTP get 400 or a closed connection",
  "Errors: bad_request; RFC 9112, 2.2",
  "together",
  async (t) => {
    t.direct();
    for (const nonsense of [
      "\0\0\0\r\n\r\n",
      "GET\r\n\r\n",
      "hello\r\n\r\n",
      `GET ${t.site.target("who")} HTTP/1.1\r\n\r\n`,
    ]) {
      const text = await t.site.raw(nonsense);
      t.expect(
        JSON.stringify(nonsense),
        "400 and a closed connection",
        text === "" || /^HTTP\/1\.[01] (400|505)/.test(text),
        text.slice(0, 100),
      );
    }
    t.status(await t.ask("healthz"), 200);
  },
);

add(
  "a request with two lengths, or with a length and chunks, is refused",
  "RFC 9112, 6.3",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const lines = [`Cookie: ${ann.cookie}`, `Content-Type: ${FORM["Content-Type"]}`];
    for (const both of [
      ["Content-Length: 9", "Content-Length: 10"],
      ["Content-Length: 9", "Transfer-Encoding: chunked"],
    ]) {
      const head = t.site.head("POST", `put_post/${ann.segment}`, ...lines, ...both);
      const replies = repliesIn(await t.site.raw(`${head}\r\nmessage=x`));
      t.expect(
        `POST with ${both.join(" and ")}`,
        "400, or a closed connection",
        replies.every(({ status }) => status >= 400),
        statuses(replies),
      );
    }
    t.equal("posts of two lengths: what was heard", await t.hear(ann, since, 0), []);
  },
);
