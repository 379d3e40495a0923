/** Connections over bare sockets: requests in pieces, several in one packet, HTTP/1.0, and bytes that are not HTTP. */
import { about } from "../runner.js";
import { type RawReply, repliesIn } from "../site.js";
import type { Trial } from "../trial.js";

const { together } = about("connections", "RFC 9112");

/** Sends requests in one packet and reads their replies. The last one closes the connection. */
async function pipeline(t: Trial, ...requests: readonly string[]): Promise<RawReply[]> {
  const replies = repliesIn(await t.site.raw(requests.join("")));
  const lines = requests.map((request) => request.split("\r\n")[0]);
  t.equal(`in one packet: ${lines.join(", ")}: how many replies`, replies.length, requests.length);
  return replies;
}

together("a poll over HTTP/1.0 is held and answered, and then its connection closes", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const head = t.site.head("GET", `get_post/${bob.segment}?since=${since}&wait=8`, `Cookie: ${bob.cookie}`);
  const text = t.site.raw(`${head.replace("HTTP/1.1", "HTTP/1.0")}\r\n`);
  await t.settle();
  await ann.post("to 1.0");
  const [reply] = repliesIn(await text);
  const sent = "GET …since=… HTTP/1.0, held, then a post";
  t.equal(`${sent}: the status`, reply?.status, 200);
  const isReadable = !/transfer-encoding/i.test(reply?.head ?? "");
  t.expect(sent, "an answer that HTTP/1.0 can read", isReadable, reply?.head);
});

together(
  "a poll and a post in one packet get their replies in this order, and nothing is lost",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const poll = (...more: string[]) =>
      `${t.site.head("GET", `get_post/${ann.segment}?since=${since}&wait=2`, `Cookie: ${ann.cookie}`, ...more)}\r\n`;
    const post = (text: string, ...more: string[]) =>
      `${t.postHead(ann, `Content-Length: ${8 + text.length}`, ...more)}\r\nmessage=${text}`;
    const [first, second] = await pipeline(t, poll(), post("one", "Connection: close"));
    const inOrder = first?.body.includes('"messages"') === true && second?.body.includes('"id"') === true;
    t.expect("a poll and a post in one packet", "the batch first, then the id", inOrder, [first, second]);
    const [posted] = await pipeline(t, post("two"), poll("Connection: close"));
    t.equal("a post and a poll in one packet: the first status", posted?.status, 200);
    await t.hears(ann, since, ["one", "two"]);
  },
);

together(
  "ten requests in one packet get ten replies, in order, and then the connection closes",
  async (t) => {
    const paths = "healthz login nothing healthz who login nothing healthz nothing healthz".split(" ");
    const line = (n: number) => (n === 9 ? "Connection: close" : "X: y");
    const began = performance.now();
    const replies = await pipeline(t, ...paths.map((path, n) => `${t.site.head("GET", path, line(n))}\r\n`));
    const statuses = replies.map(({ status }) => status);
    const expected = paths.map((path) => (path === "nothing" ? 404 : 200));
    t.equal("ten GETs in one packet: the statuses", statuses, expected);
    const isClosed = performance.now() - began < 10_000;
    t.expect("a GET with Connection: close", "a connection that closes", isClosed, "one that stays");
  },
);

together("a request that arrives byte by byte is answered", async (t) => {
  const text = await t.site.raw(...`${t.site.head("GET", "healthz", "Connection: close")}\r\n`);
  t.equal("GET /healthz, byte by byte", repliesIn(text)[0]?.status, 200);
});

together("a target in absolute form is accepted", async (t) => {
  const head = t.site.head("GET", "healthz", "Connection: close");
  const text = await t.site.raw(`${head.replace("GET ", `GET http://${t.site.base.host}`)}\r\n`);
  t.equal("GET http://…/healthz", repliesIn(text)[0]?.status, 200);
});

together("bytes that are not HTTP get 400 or a closed connection", async (t) => {
  t.direct();
  const noHost = `GET ${t.site.target("who")} HTTP/1.1\r\n\r\n`;
  for (const nonsense of ["\0\0\0\r\n\r\n", "GET\r\n\r\n", "hello\r\n\r\n", noHost]) {
    const text = await t.site.raw(nonsense);
    const right = text === "" || /^HTTP\/1\.[01] (400|505)/.test(text);
    t.expect(JSON.stringify(nonsense), "400 and a closed connection", right, text.slice(0, 100));
  }
  t.status(await t.ask("healthz"), 200);
});

together("a request with two lengths, or with a length and chunks, is refused", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  for (const line of ["Content-Length: 10", "Transfer-Encoding: chunked"]) {
    const text = await t.site.raw(`${t.postHead(ann, "Content-Length: 9", line)}\r\nmessage=x`);
    const statuses = repliesIn(text).map(({ status }) => status);
    const right = statuses.every((status) => status >= 400);
    t.expect(`POST with Content-Length: 9 and ${line}`, "400, or a closed connection", right, statuses);
  }
  t.equal("posts of two lengths: what was heard", await t.hear(ann, since, 0), []);
});
