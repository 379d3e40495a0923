/** Posting: what a message may be, how it may be sent, and what is kept once. */
import { readId } from "../person.js";
import { about } from "../runner.js";
import { FORM, HTML, JSON_TYPE, repliesIn } from "../site.js";

const RULE = "Posting: a message is 1 to 2,000 characters after trimming line ends";
const KEY = "Posting: Idempotency-Key";
const { cases, add } = about("messages");
export const messages = cases;

const LENGTHS = [1, 2, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 1365, 1366, 1999, 2000];

for (const [what, sign] of [
  ["one byte", "a"],
  ["two bytes", "é"],
  ["three bytes", "世"],
  ["four bytes", "😀"],
] as const) {
  add(`of 1 to 2,000 characters of ${what} come back whole`, RULE, "together", async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    // Bytes around the sizes of buffers: a digit in front moves all that follows by one.
    const texts = LENGTHS.map((length, n) =>
      n % 2 === 0 ? sign.repeat(length) : `1${sign.repeat(length - 1)}`,
    );
    for (const text of texts) await ann.post(text);
    const heard = await t.hear(ann, since, texts.length);
    t.equal(
      `posts of ${LENGTHS} characters: the lengths heard`,
      heard.map(({ text }) => [...text].length),
      LENGTHS,
    );
    for (const [n, { text }] of heard.entries()) t.equal(`a post of ${LENGTHS[n]} × ${sign}`, text, texts[n]);
  });

  add(`of 2,001 characters of ${what} are refused`, `${RULE}; Errors: bad_message`, "together", async (t) => {
    t.refused(await (await t.person()).say(sign.repeat(2001)), 422, "bad_message");
  });
}

add("without a character are refused", `${RULE}; Errors: bad_message`, "together", async (t) => {
  const ann = await t.person();
  for (const body of ["message=", "", "other=x", "message=%0A", "message=%0D%0A%0A%0D%0A"]) {
    t.refused(
      await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers: FORM, body }),
      422,
      "bad_message",
    );
  }
});

add("lose the line ends around them, and keep those within, tabs and spaces", RULE, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("\n\na\n\n\tb  c\n\n");
  await ann.post("\r\nd\r\n");
  await t.hears(ann, since, ["a\n\n\tb  c", "d"]);
});

add(
  "with control characters are refused",
  "Posting: control characters other than \\n and \\t",
  "together",
  async (t) => {
    const ann = await t.person();
    for (const sign of ["\0", "\x01", "\x07", "\b", "\x0b", "\x1b", "\x7f", "\x85"]) {
      t.refused(await ann.say(`a${sign}b`), 422, "bad_message");
    }
  },
);

const ALL = '你好 🧑‍🚀 مرحبا נ é e\u0301 "\\ \u2028 \ufffd \ufeff <b>&amp;</b> %41 + = & ; \n\tnext';

add("may be any Unicode, by form and by JSON", "Routes: Bodies", "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post(ALL);
  const json = { method: "POST", headers: { "Content-Type": "application/json; charset=utf-8" } };
  readId(await ann.ask(`put_post/${ann.segment}`, { ...json, body: JSON.stringify({ message: ALL }) }));
  const escaped = JSON.stringify({ message: ALL }).replace(
    /[^ -~]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  readId(await ann.ask(`put_post/${ann.segment}`, { ...json, body: escaped }));
  await t.hears(ann, since, [ALL, ALL, ALL]);
});

add(
  "in a form: + is a space, %2B a plus, and of fields with strange names no harm comes",
  "Routes: Bodies",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    for (const body of ["message=a+b%2Bc", "__proto__=x&constructor=y&message=d", "&&message=e&"]) {
      readId(await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers: FORM, body }));
    }
    readId(
      await ann.ask(`put_post/${ann.segment}`, {
        method: "POST",
        headers: JSON_TYPE,
        body: '{"message":"f","__proto__":"x","constructor":"y"}',
      }),
    );
    await t.hears(ann, since, ["a b+c", "d", "e", "f"]);
  },
);

add("may come in pieces that cut a character", "Routes: Bodies", "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const text = "世界😀";
  for (const [type, body] of [
    [FORM["Content-Type"], Buffer.from(`message=${text}`)],
    ["application/json", Buffer.from(JSON.stringify({ message: text }))],
  ] as const) {
    const from = body.length - 12;
    const head = t.site.head(
      "POST",
      `put_post/${ann.segment}`,
      `Cookie: ${ann.cookie}`,
      `Content-Type: ${type}`,
      `Content-Length: ${body.length}`,
      "Connection: close",
    );
    const cuts = [from, from + 1, from + 2, from + 4, from + 7, from + 8, from + 10];
    const pieces = [0, ...cuts].map((start, n) => body.subarray(start, cuts[n]));
    const [reply] = repliesIn(await t.site.raw(`${head}\r\n`, ...pieces));
    t.equal(`POST of "${text}" as ${type}, in ${pieces.length} pieces`, reply?.status, 200);
  }
  await t.hears(ann, since, [text, text]);
});

add("may come in chunks", "Routes: Bodies; RFC 9112, 7.1", "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const head = t.site.head(
    "POST",
    `put_post/${ann.segment}`,
    `Cookie: ${ann.cookie}`,
    `Content-Type: ${FORM["Content-Type"]}`,
    "Transfer-Encoding: chunked",
    "Connection: close",
  );
  const text = await t.site.raw(
    `${head}\r\n`,
    "8\r\nmessage=\r\n",
    Buffer.from("2;x=y\r\n\u4e16", "utf8").subarray(0, 9),
    Buffer.concat([Buffer.from("\r\n1\r\n"), Buffer.from("世").subarray(2)]),
    "\r\n0\r\n\r\n",
  );
  t.equal("POST in chunks that cut a character", repliesIn(text)[0]?.status, 200);
  await t.hears(ann, since, ["世"]);
});

add(
  "of somebody who leaves in the middle of the body are not kept",
  "Routes: put_post",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const socket = t.site.connect();
    socket.write(
      `${t.site.head("POST", `put_post/${ann.segment}`, `Cookie: ${ann.cookie}`, `Content-Type: ${FORM["Content-Type"]}`, "Content-Length: 50")}\r\nmessage=half of it`,
    );
    await t.settle();
    socket.destroy();
    await ann.post("whole");
    await t.hears(ann, since, ["whole"]);
  },
);

add(
  "are answered with their id, or lead a browser's form back to the room",
  "Routes: put_post",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const id = await ann.post("by script");
    const reply = await ann.say("by form", HTML);
    t.status(reply, 303);
    const to = new URL(reply.headers.location ?? "", new URL(`put_post/${ann.segment}`, t.site.base));
    t.equal(`${reply.sent}: where it leads`, to.href, new URL(`chatroom/${ann.segment}/`, t.site.base).href);
    const [first] = await t.hears(ann, since, ["by script", "by form"]);
    t.equal("the id of a post, and in the batch", first?.id, id);
  },
);

add("with one key, sent twice at once, are kept once", KEY, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const headers = { "Idempotency-Key": t.name("key") };
  const ids = await Promise.all(Array.from({ length: 5 }, () => ann.post("once", headers)));
  t.equal("five posts at once with one key: different ids", new Set(ids).size, 1);
  await t.hears(ann, since, ["once"]);
});

add(
  "with one key, sent later again, get the first one's id; another text with that key is refused",
  `${KEY}; Errors: key_reused`,
  "together",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    const since = await ann.end();
    const key = t.name("key");
    const id = await ann.post("first", { "Idempotency-Key": key });
    t.equal("the same key and text again", await ann.post("first", { "Idempotency-Key": key }), id);
    for (const [headers, body] of [
      [FORM, `message=first&key=${key}`],
      [JSON_TYPE, JSON.stringify({ message: "first", key })],
    ] as const) {
      const reply = await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers, body });
      t.equal(reply.sent, readId(reply), id);
    }
    t.refused(await ann.say("other", { "Idempotency-Key": key }), 422, "key_reused");
    const his = await bob.post("mine", { "Idempotency-Key": key });
    t.expect("the same key by another user", "another id", his !== id, his);
    await t.hears(ann, since, ["first", "mine"]);
  },
);

add("may have a key of 64 characters, of any meaning, and not of 65", KEY, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const keys = ["k".repeat(64), "__proto__", "constructor", "toString"];
  for (const key of keys) {
    const id = await ann.post(key, { "Idempotency-Key": key });
    t.equal(`Idempotency-Key: ${key}, twice`, await ann.post(key, { "Idempotency-Key": key }), id);
  }
  const long = await ann.say("x", { "Idempotency-Key": "k".repeat(65) });
  t.refused(long, 400, "bad_request");
  await t.hears(ann, since, keys);
});
