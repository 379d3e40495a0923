/** Posting: valid messages, ways to send them and idempotency keys; and messages before an id, as JSON and as a page. */
import { readHistory, readId } from "../person.js";
import { about } from "../runner.js";
import { cookieOf, HTML, JSON_TYPE, repliesIn } from "../site.js";

const { together, hears } = about("messages", "Posting");

const LENGTHS = [1, 2, 255, 256, 257, 1023, 1024, 1025, 1366, 2000];

for (const [what, sign] of [
  ["one byte", "a"],
  ["two bytes", "é"],
  ["three bytes", "世"],
  ["four bytes", "😀"],
] as const) {
  // Lengths around buffer sizes. A digit in front shifts the following bytes by one.
  const texts = LENGTHS.map((length, n) => `${n % 2 ? "1" : sign}${sign.repeat(length - 1)}`);
  hears(`1 to 2,000 characters of ${what} arrive whole, and 2,001 are refused`, texts, async (t, ann) => {
    for (const text of texts) await ann.post(text);
    t.refused(await ann.say(sign.repeat(2001)), 422, "bad_message");
  });
}

together("an empty message or one with control characters is refused", async (t, ann) => {
  for (const body of ["message=", "", "other=x", "message=%0A", "message=%0D%0A%0A%0D%0A"])
    t.refused(await ann.send(`put_post/${ann.segment}`, body), 422, "bad_message");
  for (const sign of ["\0", "\x01", "\x07", "\b", "\x0b", "\x1b", "\x7f", "\x85"])
    t.refused(await ann.say(`a${sign}b`), 422, "bad_message");
});

hears("a message loses only the line ends around it", ["a\n\n\tb  c", "d\ne\nf "], async (_, ann) => {
  await ann.post("\n\na\n\n\tb  c\n\n");
  await ann.post("\r\nd\r\ne\rf \n\r\n");
});

const ALL = '你好 🧑‍🚀 مرحبا נ é e\u0301 "\\ \u2028 \ufffd \ufeff <b>&amp;</b> %41 + = & ; \n\tnext';

hears("a message in any Unicode arrives unchanged, by form and by JSON", [ALL, ALL, ALL], async (_, ann) => {
  await ann.post(ALL);
  const json = JSON.stringify({ message: ALL });
  const escaped = (sign: string) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  for (const body of [json, json.replace(/[^ -~]/g, escaped)])
    readId(await ann.send(`put_post/${ann.segment}`, body, headers));
});

const ODD = ["a b+c", "d", "e", "f"];

hears("a form reads + as a space and %2B as a plus, and ignores odd fields", ODD, async (_, ann) => {
  for (const body of ["message=a+b%2Bc", "__proto__=x&constructor=y&message=d", "&&message=e&"])
    readId(await ann.send(`put_post/${ann.segment}`, body));
  const json = '{"message":"f","__proto__":"x","constructor":"y"}';
  readId(await ann.send(`put_post/${ann.segment}`, json, JSON_TYPE));
});

const SPLIT = "世界😀";

hears("a message whose packets split a character arrives whole", [SPLIT, SPLIT], async (t, ann) => {
  const bytes = Array.from(Buffer.from(`message=${SPLIT}`), (byte) => Buffer.from([byte]));
  const chunks = [
    ...bytes.map((byte) => Buffer.concat([Buffer.from("1;x=y\r\n"), byte, Buffer.from("\r\n")])),
    "0\r\n\r\n",
  ];
  for (const [line, pieces] of [
    [`Content-Length: ${bytes.length}`, bytes],
    ["Transfer-Encoding: chunked", chunks],
  ] as const) {
    const head = `${t.postHead(ann, line, "Connection: close")}\r\n`;
    const [reply] = repliesIn(await t.site.raw(head, ...pieces));
    t.equal(`a POST byte by byte, ${line}`, reply?.status, 200);
  }
});

hears("a message whose sender disconnects within the body is not kept", ["whole"], async (t, ann) => {
  const socket = t.site.connect();
  socket.write(`${t.postHead(ann, "Content-Length: 50")}\r\nmessage=half of it`);
  await t.settle();
  socket.destroy();
  await ann.post("whole");
});

together("a post returns the id of the message, or redirects a form back to the room", async (t, ann) => {
  const since = await ann.end();
  const id = await ann.post("by script");
  const path = `put_post/${ann.segment}`;
  for (const reply of [await ann.say("by form", HTML), await ann.send(`${path}?page`, "message=with+page")])
    t.redirects(reply, path, 303, `chatroom/${ann.segment}/`);
  const [first] = await t.hears(ann, since, ["by script", "by form", "with page"]);
  t.equal("the id of a post, and in the batch", first?.id, id);
});

hears("posts with one key are kept once, and another text is refused", ["once"], async (t, ann) => {
  const key = t.name("key");
  const headers = { "Idempotency-Key": key };
  const path = `put_post/${ann.segment}`;
  const ids = await Promise.all(Array.from({ length: 5 }, () => ann.post("once", headers)));
  ids.push(await ann.post("once", headers));
  ids.push(readId(await ann.send(path, `message=once&key=${key}`)));
  ids.push(readId(await ann.send(path, JSON.stringify({ message: "once", key }), JSON_TYPE)));
  t.equal("five posts at once and three later ones with one key: different ids", new Set(ids).size, 1);
  t.refused(await ann.say("other", headers), 422, "key_reused");
  const json = JSON.stringify({ message: "other", key });
  t.refused(await ann.send(path, json, JSON_TYPE), 422, "key_reused");
});

hears("a key counts for its session only", ["same", "same", "same", "same"], async (t, bob, ann) => {
  const headers = { "Idempotency-Key": t.name("key") };
  const ids = [await ann.post("same", headers), await bob.post("same", headers)];
  ann.cookie = cookieOf(await t.login(ann.name, { Cookie: ann.cookie }));
  ids.push(await ann.post("same", headers));
  await ann.logout();
  const next = await t.person(ann.name);
  ids.push(await next.post("same", headers));
  t.equal("one key and text, by four sessions: different ids", new Set(ids).size, 4);
});

const KEYS = ["k".repeat(64), "__proto__", "constructor", "toString"];

hears("a key of 64 characters is accepted, and one of 65 is refused", KEYS, async (t, ann) => {
  for (const key of KEYS) {
    const id = await ann.post(key, { "Idempotency-Key": key });
    t.equal(`Idempotency-Key: ${key}, twice`, await ann.post(key, { "Idempotency-Key": key }), id);
  }
  t.refused(await ann.say("x", { "Idempotency-Key": "k".repeat(65) }), 400, "bad_request");
});

const history = about("history", "Routes");

history.alone("/history returns the newest messages before an id, oldest first", async (t, ann) => {
  const ids: string[] = [];
  for (const text of ["1", "2", "3", "4"]) ids.push(await ann.post(text));
  const read = async (query: string) => readHistory(await ann.ask(`history/${ann.segment}?${query}`));
  const all = await read(`before=${ids[3]}&limit=200`);
  const own = all.messages.flatMap(({ id, user }) => (user === ann.name && ids.includes(id) ? [id] : []));
  t.equal("GET /history before the fourth of four messages: which of them", own, ids.slice(0, 3));
  const last = await read(`before=${ids[3]}&limit=1`);
  t.equal("GET /history with limit=1", last, { messages: all.messages.slice(-1), more: true });
  const newest = await read("");
  t.equal("GET /history without fields: at most 50 messages", newest.messages.length <= 50, true);
  t.equal("GET /history before an old id", await read("before=1-0"), { messages: [], more: false });
  // A malformed id, a wrong limit and other callers are refused.
  const path = `history/${ann.segment}`;
  t.refused(await ann.ask(`${path}?before=x`), 400, "bad_cursor");
  for (const limit of ["0", "201", "-1", "x", "1.5"])
    t.refused(await ann.ask(`${path}?limit=${limit}`), 400, "bad_request");
  t.refused(await ann.ask(path, { headers: { Cookie: "" } }), 401, "no_session");
  t.refused(await ann.ask(`history/${(await t.person()).segment}`), 403, "not_you");
});

history.alone("the page with ?before has earlier messages only, and ?still is the page", async (t, ann) => {
  const [early, late] = [t.name("early"), t.name("late")];
  await ann.post(early);
  const id = await ann.post(late);
  const page = (query: string) => ann.ask(`chatroom/${ann.segment}/?${query}`, { headers: HTML });
  const before = await page(`before=${id}`);
  t.page(before, 200);
  const right = before.body.includes(early) && !before.body.includes(late);
  t.expect(before, "the first message and not the second", right);
  t.page(await page("still"), 200);
  t.page(await page("before=x"), 400);
});
