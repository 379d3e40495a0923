/** Posting: valid messages, ways to send them, and idempotency keys. */
import { readId } from "../person.js";
import { about } from "../runner.js";
import { cookieOf, FORM, HTML, JSON_TYPE, repliesIn } from "../site.js";

const { together } = about("messages", "Posting");

const LENGTHS = [1, 2, 255, 256, 257, 1023, 1024, 1025, 1366, 2000];

for (const [what, sign] of [
  ["one byte", "a"],
  ["two bytes", "é"],
  ["three bytes", "世"],
  ["four bytes", "😀"],
] as const) {
  together(`messages of 1 to 2,000 characters of ${what} arrive whole, and 2,001 are refused`, async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    // Lengths around buffer sizes. A digit in front shifts the following bytes by one.
    const texts = LENGTHS.map((length, n) => `${n % 2 ? "1" : sign}${sign.repeat(length - 1)}`);
    for (const text of texts) await ann.post(text);
    t.refused(await ann.say(sign.repeat(2001)), 422, "bad_message");
    const heard = await t.hear(ann, since, texts.length);
    const lengths = heard.map(({ text }) => [...text].length);
    t.equal(`posts of ${LENGTHS} characters: the lengths received`, lengths, LENGTHS);
    for (const [n, { text }] of heard.entries()) t.equal(`a post of ${LENGTHS[n]} × ${sign}`, text, texts[n]);
  });
}

together("an empty message is refused", async (t) => {
  const ann = await t.person();
  for (const body of ["message=", "", "other=x", "message=%0A", "message=%0D%0A%0A%0D%0A"])
    t.refused(await ann.send(`put_post/${ann.segment}`, body), 422, "bad_message");
});

together("a message loses the line ends around it and keeps inner line ends, tabs and spaces", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("\n\na\n\n\tb  c\n\n");
  await ann.post("\r\nd\r\n");
  await t.hears(ann, since, ["a\n\n\tb  c", "d"]);
});

together("a message with control characters is refused", async (t) => {
  const ann = await t.person();
  for (const sign of ["\0", "\x01", "\x07", "\b", "\x0b", "\x1b", "\x7f", "\x85"])
    t.refused(await ann.say(`a${sign}b`), 422, "bad_message");
});

const ALL = '你好 🧑‍🚀 مرحبا נ é e\u0301 "\\ \u2028 \ufffd \ufeff <b>&amp;</b> %41 + = & ; \n\tnext';

together("a message in any Unicode arrives unchanged, by form and by JSON", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post(ALL);
  const json = JSON.stringify({ message: ALL });
  const escaped = (sign: string) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
  for (const body of [json, json.replace(/[^ -~]/g, escaped)]) {
    const headers = { "Content-Type": "application/json; charset=utf-8" };
    readId(await ann.send(`put_post/${ann.segment}`, body, headers));
  }
  await t.hears(ann, since, [ALL, ALL, ALL]);
});

together("a form reads + as a space and %2B as a plus, and ignores fields with special names", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  for (const body of ["message=a+b%2Bc", "__proto__=x&constructor=y&message=d", "&&message=e&"])
    readId(await ann.send(`put_post/${ann.segment}`, body));
  const json = '{"message":"f","__proto__":"x","constructor":"y"}';
  readId(await ann.send(`put_post/${ann.segment}`, json, JSON_TYPE));
  await t.hears(ann, since, ["a b+c", "d", "e", "f"]);
});

together("a message whose packets split a character arrives whole", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const text = "世界😀";
  for (const [type, whole] of [
    [FORM["Content-Type"], `message=${text}`],
    [JSON_TYPE["Content-Type"], JSON.stringify({ message: text })],
  ] as const) {
    const body = Buffer.from(whole);
    const lines = [`Content-Type: ${type}`, `Content-Length: ${body.length}`, "Connection: close"];
    const cuts = [0, 1, 2, 4, 7, 8, 10].map((at) => body.length - 12 + at);
    const pieces = [0, ...cuts].map((start, n) => body.subarray(start, cuts[n]));
    const [reply] = repliesIn(await t.site.raw(`${t.postHead(ann, ...lines)}\r\n`, ...pieces));
    t.equal(`POST of "${text}" as ${type}, in ${pieces.length} pieces`, reply?.status, 200);
  }
  await t.hears(ann, since, [text, text]);
});

together("a message in chunked encoding is kept", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const text = await t.site.raw(
    `${t.postHead(ann, "Transfer-Encoding: chunked", "Connection: close")}\r\n`,
    "8\r\nmessage=\r\n",
    Buffer.from("2;x=y\r\n\u4e16", "utf8").subarray(0, 9),
    Buffer.concat([Buffer.from("\r\n1\r\n"), Buffer.from("世").subarray(2)]),
    "\r\n0\r\n\r\n",
  );
  t.equal("POST in chunks that cut a character", repliesIn(text)[0]?.status, 200);
  await t.hears(ann, since, ["世"]);
});

together("a message whose sender disconnects within the body is not kept", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const socket = t.site.connect();
  socket.write(`${t.postHead(ann, "Content-Length: 50")}\r\nmessage=half of it`);
  await t.settle();
  socket.destroy();
  await ann.post("whole");
  await t.hears(ann, since, ["whole"]);
});

together("a post returns the id of the message, or redirects a form back to the room", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const id = await ann.post("by script");
  const path = `put_post/${ann.segment}`;
  for (const reply of [await ann.say("by form", HTML), await ann.send(`${path}?page`, "message=with+page")]) {
    t.status(reply, 303);
    const to = new URL(reply.headers.location ?? "", new URL(path, t.site.base));
    const room = new URL(`chatroom/${ann.segment}/`, t.site.base);
    t.equal(`${reply.sent}: where it leads`, to.href, room.href);
  }
  const [first] = await t.hears(ann, since, ["by script", "by form", "with page"]);
  t.equal("the id of a post, and in the batch", first?.id, id);
});

together("two simultaneous posts with one key are kept once", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const headers = { "Idempotency-Key": t.name("key") };
  const ids = await Promise.all(Array.from({ length: 5 }, () => ann.post("once", headers)));
  t.equal("five posts at once with one key: different ids", new Set(ids).size, 1);
  await t.hears(ann, since, ["once"]);
});

together("a later post with the same key gets the first id, and another text is refused", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const key = t.name("key");
  const headers = { "Idempotency-Key": key };
  const id = await ann.post("first", headers);
  const path = `put_post/${ann.segment}`;
  for (const reply of [
    await ann.say("first", headers),
    await ann.send(path, `message=first&key=${key}`),
    await ann.send(path, JSON.stringify({ message: "first", key }), JSON_TYPE),
  ])
    t.equal(reply.sent, readId(reply), id);
  t.refused(await ann.say("other", headers), 422, "key_reused");
  const json = JSON.stringify({ message: "other", key });
  t.refused(await ann.send(path, json, JSON_TYPE), 422, "key_reused");
  await t.hears(ann, since, ["first"]);
});

together("a key counts for its session only", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const headers = { "Idempotency-Key": t.name("key") };
  const ids = [await ann.post("same", headers), await bob.post("same", headers)];
  ann.cookie = cookieOf(await t.login(ann.name, { Cookie: ann.cookie }));
  ids.push(await ann.post("same", headers));
  await ann.logout();
  const next = await t.person(ann.name);
  ids.push(await next.post("same", headers));
  t.equal("one key and text, by four sessions: different ids", new Set(ids).size, 4);
  await t.hears(bob, since, ["same", "same", "same", "same"]);
});

together("a key of 64 characters is accepted, and one of 65 is refused", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const keys = ["k".repeat(64), "__proto__", "constructor", "toString"];
  for (const key of keys) {
    const id = await ann.post(key, { "Idempotency-Key": key });
    t.equal(`Idempotency-Key: ${key}, twice`, await ann.post(key, { "Idempotency-Key": key }), id);
  }
  t.refused(await ann.say("x", { "Idempotency-Key": "k".repeat(65) }), 400, "bad_request");
  await t.hears(ann, since, keys);
});
