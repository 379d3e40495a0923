/** Posting: valid messages, ways to send them, and idempotency keys. */
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
  add(`messages of 1 to 2,000 characters of ${what} arrive whole`, RULE, "together", async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    // Lengths around buffer sizes. A digit in front shifts the following bytes by one.
    const texts = LENGTHS.map((length, n) =>
      n % 2 === 0 ? sign.repeat(length) : `1${sign.repeat(length - 1)}`,
    );
    for (const text of texts) await ann.post(text);
    const heard = await t.hear(ann, since, texts.length);
    t.equal(
      `posts of ${LENGTHS} characters: the lengths received`,
      heard.map(({ text }) => [...text].length),
      LENGTHS,
    );
    for (const [n, { text }] of heard.entries()) t.equal(`a post of ${LENGTHS[n]} × ${sign}`, text, texts[n]);
  });

  add(
    `a message of 2,001 characters of ${what} is refused`,
    `${RULE}; Errors: bad_message`,
    "together",
    async (t) => {
      t.refused(await (await t.person()).say(sign.repeat(2001)), 422, "bad_message");
    },
  );
}

add("an empty message is refused", `${RULE}; Errors: bad_message`, "together", async (t) => {
  const ann = await t.person();
  for (const body of ["message=", "", "other=x", "message=%0A", "message=%0D%0A%0A%0D%0A"]) {
    t.refused(
      await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers: FORM, body }),
      422,
      "bad_message",
    );
  }
});

add(
  "a message loses the line ends around it and keeps inner line ends, tabs and spaces",
  RULE,
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    await ann.post("\n\na\n\n\tb  c\n\n");
    await ann.post("\r\nd\r\n");
    await t.hears(ann, since, ["a\n\n\tb  c", "d"]);
  },
);

add(
  "a message with control characters is refused",
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

add(
  "a message in any Unicode arrives unchanged, by form and by JSON",
  "Routes: Bodies",
  "together",
  async (t) => {
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
  },
);

add(
  "a form reads + as a space and %2B as a plus, and ignores fields with special names",
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

add("a message whose packets split a character arrives whole", "Routes: Bodies", "together", async (t) => {
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

add("a message in chunked encoding is kept", "Routes: Bodies; RFC 9112, 7.1", "together", async (t) => {
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
  "a message whose sender disconnects within the body is not kept",
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
  "a post returns the id of the message, or redirects a form back to the room",
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

add("two simultaneous posts with one key are kept once", KEY, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const headers = { "Idempotency-Key": t.name("key") };
  const ids = await Promise.all(Array.from({ length: 5 }, () => ann.post("once", headers)));
  t.equal("five posts at once with one key: different ids", new Set(ids).size, 1);
  await t.hears(ann, since, ["once"]);
});

add(
  "a later post with the same key gets the first id, and another text with that key is refused",
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

add("a key of 64 characters is accepted, and one of 65 is refused", KEY, "together", async (t) => {
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
