/** Plain HTTP: methods, connections, and requests as no client library would send them. */
import { readBatch } from "../person.js";
import { about } from "../runner.js";
import { FORM, type RawReply, repliesIn } from "../site.js";
import type { Trial } from "../trial.js";

const { cases, add } = about("HTTP");
export const http = cases;

const statuses = (replies: readonly RawReply[]) => replies.map(({ status }) => status);

add(
  "HEAD is wherever there is GET: the same status, no body, at once",
  "Routes: HEAD wherever there is GET",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const room = `chatroom/${ann.segment}`;
    const poll = `get_post/${ann.segment}`;
    for (const [path, status] of [
      ["", 303],
      ["login", 200],
      [room, 308],
      [`${room}/`, 200],
      ["who", 200],
      ["healthz", 200],
      [`${poll}?since=0&wait=20`, 200],
      [`${poll}?since=${since}&wait=20`, 200],
      [poll, 200],
      [`${poll}?since=x`, 400],
      ["nothing", 404],
    ] as const) {
      const head = await ann.ask(path, { method: "HEAD" });
      t.equal(head.sent, [head.status, head.body], [status, ""]);
      t.expect(head, "an answer that does not wait", head.took < 8000, `${Math.round(head.took)} ms`);
    }
  },
);

add(
  "a HEAD neither is told messages nor supersedes a poll",
  "Routes: HEAD wherever there is GET",
  "alone",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    const since = await t.quiet(ann, bob);
    const heard = t.hears(bob, since, ["to the poll"], "a");
    await t.settle();
    await bob.poll(`since=${since}&wait=5&client=a`, { method: "HEAD" });
    await ann.post("to the poll");
    await heard;
  },
);

add(
  "who asks for the connection to close gets an answer and a closed connection",
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
  "a poll by HTTP/1.0 is held, answered, and its connection closed",
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

/** Sends requests in one packet and reads as many replies, the last of which closes. */
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
  "a poll and a post in one packet get their answers in this order, and nothing is lost",
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

add("a request that comes byte by byte is answered", "RFC 9112, 2", "together", async (t) => {
  const request = `${t.site.head("GET", "healthz", "Connection: close")}\r\n`;
  t.equal("GET /healthz, byte by byte", statuses(repliesIn(await t.site.raw(...request))), [200]);
});

add(
  "what is no HTTP is 400, or a closed connection",
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
  "a request that says two lengths, or a length and chunks, is refused",
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

add("/healthz is 200 and ok", "Routes: GET /healthz", "together", async (t) => {
  const reply = await t.ask("healthz");
  t.equal(reply.sent, [reply.status, reply.body.trim()], [200, "ok"]);
});

add("/metrics is Prometheus text", "Routes: GET /metrics", "together", async (t) => {
  const reply = await t.ask("metrics");
  if (reply.status === 404) return t.skip("this server has no /metrics");
  t.expect(
    reply,
    "200 and text/plain",
    reply.status === 200 && /^text\/plain|openmetrics/.test(reply.headers["content-type"] ?? ""),
  );
  const wrong = reply.body
    .split("\n")
    .filter((line) => !/^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?|)$/.test(line));
  t.equal(`${reply.sent}: lines that are no metric`, wrong, []);
});

add("JSON says that it is JSON", "The long poll; Posting", "together", async (t) => {
  const ann = await t.person();
  for (const reply of [
    await ann.poll("since=now&wait=0"),
    await ann.say("x"),
    await ann.ask("who"),
    await ann.poll("since=x"),
    await ann.poll(""),
  ]) {
    t.expect(
      reply,
      "Content-Type: application/json",
      /^application\/json\b/.test(reply.headers["content-type"] ?? ""),
    );
  }
  readBatch(await ann.poll("since=now&wait=0", { headers: { Accept: "text/html" } }));
});
