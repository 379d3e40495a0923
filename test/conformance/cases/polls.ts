/** Polls: wait, supersede and parameters; cursors; and the plain poll, whose cursor is a cookie. */
import { textOf } from "../person.js";
import { about } from "../runner.js";

const polls = about("polls", "The long poll");

/** The accepted delay of a time-out in milliseconds, for a busy machine. */
const LATE = 8000;

for (const [what, query, ms] of [
  ["a poll without news ends after its wait", "wait=1", 1000],
  ["a poll without a wait is held for ten seconds", "", 10_000],
] as const)
  polls.quiet(`${what}, with a valid cursor`, async (t, ann) => {
    const { reply, messages, cursor } = await t.silence(ann, query);
    t.equal(reply.sent, messages, []);
    t.took(reply, ms, ms + LATE);
    t.gap(await ann.batch(`since=${cursor}&wait=0`), false);
  });

polls.together("wait=0 returns at once, and since=now returns only later messages", async (t, ann, bob) => {
  const id = await ann.post("before");
  const batch = await bob.batch("since=now&wait=0");
  t.texts(batch, []);
  t.took(batch.reply, 0, LATE);
  await ann.post("after");
  for (const since of [batch.cursor, id]) t.texts(await bob.batch(`since=${since}&wait=0`), ["after"]);
});

polls.together("a wait is a number of seconds from 0 to 60", async (t, ann) => {
  await ann.post("at once");
  t.status(await ann.poll("since=0&wait=60"), 200);
  for (const wait of ["soon", "-1", "61", "1e9", "NaN", "Infinity", ""])
    t.refused(await ann.poll(`since=0&wait=${wait}`), 400, "bad_request");
});

polls.alone("a newer poll of the same client supersedes the held one, and no other", async (t, ann, bob) => {
  t.single();
  const cursor = await t.quiet(ann, bob);
  const query = `since=${cursor}&wait=8`;
  const held = ann.batch(`${query}&client=a`);
  const others = [ann.batch(`${query}&client=b`), ann.batch(query), bob.batch(`${query}&client=a`)];
  await t.settle();
  const newer = ann.batch(`${query}&client=a`);
  const { reply, messages, superseded, cursor: next } = await held;
  const isEmpty = messages.length === 0 && next === cursor;
  t.expect(reply, '"messages": [], "superseded": true and the same cursor', superseded === true && isEmpty);
  t.took(reply, 0, 6000);
  await ann.post("to the others");
  for (const batch of await Promise.all([newer, ...others])) {
    const right = batch.superseded === undefined && batch.messages.at(-1)?.text === "to the others";
    t.expect(batch.reply, "a poll that was not superseded, with the message", right);
  }
});

polls.alone("a newer poll with wait=0 supersedes the held one", async (t, ann) => {
  t.single();
  const cursor = await t.quiet(ann);
  const held = ann.batch(`since=${cursor}&wait=8&client=a`);
  await t.settle();
  await ann.batch(`since=${cursor}&wait=0&client=a`);
  const { reply, superseded } = await held;
  const sent = `${reply.sent}, held, then the same with wait=0`;
  t.expect(sent, '"superseded": true', superseded === true, reply.body);
});

polls.together("a client id has at most 64 characters of A-Z, a-z, 0-9, _ and -", async (t, ann) => {
  t.status(await ann.poll(`since=now&wait=0&client=${"aZ09_-".padEnd(64, "x")}`), 200);
  for (const client of ["x".repeat(65), "a%20b", "%C3%A9", "a.b", "a%00"]) {
    t.refused(await ann.poll(`since=now&wait=0&client=${client}`), 400, "bad_request");
    t.refused(await ann.leave(client), 400, "bad_request");
  }
});

const cursors = about("cursors", "The long poll");

cursors.together("a broken cursor is refused, and a truncated one gets no other's news", async (t, ann) => {
  const id = await ann.post("whole");
  const dash = id.indexOf("-");
  const broken =
    "12 12- -12 - 1-2-3 -1-2 __proto__ null 1.5-0 1e3-0 0x1-0 %201-2 1-2%0A 1-2%00 %D9%A1-%D9%A2";
  for (const since of ["", ...broken.split(" "), id.slice(0, dash), id.slice(0, dash + 1)])
    t.refused(await ann.poll(`since=${since}&wait=0`), 400, "bad_cursor");
  t.gap(await ann.batch(`since=${id.slice(0, dash - 2)}-0&wait=0`), true);
});

for (const [what, since, gap] of [
  ["beyond the end gets a gap", "99999999999999-0", true],
  ["as high as numbers go gets a gap", "18446744073709551615-18446744073709551615", true],
  ["older than all that is kept gets a gap", "1-0", true],
  ["of 0 gets no gap", "0", false],
] as const)
  cursors.together(`a cursor ${what}, and at once the backlog and a valid cursor`, async (t, ann) => {
    await ann.post("kept");
    const batch = await ann.batch(`since=${since}&wait=20`);
    t.gap(batch, gap);
    t.expect(batch.reply, "what is still kept", batch.messages.length > 0);
    t.took(batch.reply, 0, LATE);
    t.gap(await ann.batch(`since=${batch.cursor}&wait=0`), false);
  });

cursors.together("every id in a batch is a valid cursor, also percent-encoded", async (t, ann) => {
  const since = await ann.end();
  const texts = ["1", "2", "3", "4"];
  for (const text of texts) await ann.post(text);
  const heard = await t.hears(ann, since, texts);
  for (const [at, { id }] of heard.entries()) {
    const all = [...id].map((sign) => `%${sign.charCodeAt(0).toString(16)}`).join("");
    const spelling = [id, id.replace("-", "%2D"), id.replace("-", "%2d"), all][at] ?? id;
    await t.hears(ann, spelling, texts.slice(at + 1));
  }
});

// A plain poll returns the messages of all users, so these cases run alone.
const { alone, quiet } = about("plain polls", "The long poll");

alone("a plain poll returns the text of the next message as one JSON string", async (t, ann, bob) => {
  const poll = bob.plain();
  await t.settle();
  await ann.post('say "hi"');
  t.equal("a poll without since, held, then a post", await poll, 'say "hi"');
});

alone("plain polls return one message each, in order, also if posted before", async (t, ann, bob) => {
  for (const text of ["one", "two", "three"]) await ann.post(text);
  const heard = [await bob.plain(), await bob.plain({ method: "POST" }), await bob.plain()];
  t.equal("three posts, three polls, the second by POST", heard, ["one", "two", "three"]);
});

quiet('a plain poll ends after ten seconds with ""', async (t, ann) => {
  for (let tries = 0; tries < 5; tries++) {
    const reply = await ann.poll("");
    if (textOf(reply) === "") return t.took(reply, 10_000, 10_000 + LATE);
  }
});

alone("the first plain poll starts at the log-in", async (t, ann) => {
  await ann.post("before the log-in");
  const bob = await t.person();
  await ann.post("after the log-in");
  t.equal("a post, a log-in, a post, a poll", await bob.plain(), "after the log-in");
});

alone("a plain poll after a page view starts at that view", async (t, ann, bob) => {
  // A process knows only its own page views.
  t.single();
  await ann.post("before");
  t.equal("a post, a poll", await bob.plain(), "before");
  await ann.post("on the page already");
  t.status(await bob.ask(`chatroom/${bob.segment}/`), 200);
  await ann.post("after the page");
  t.equal("a post, the page, a post, a poll", await bob.plain(), "after the page");
});

alone("a plain poll returns no notices", async (t, ann, bob, cat) => {
  const poll = bob.plain();
  await t.settle();
  await cat.end();
  await cat.logout();
  await t.settle();
  await ann.post("said");
  t.equal("a user joins and leaves, then a post", await poll, "said");
});

alone("each reply to a plain poll sets the cookie with the next position", async (t, ann, bob) => {
  for (const text of ["one", "two"]) await ann.post(text);
  const reply = await bob.poll("");
  const [cookie = "", ...attributes] = (reply.headers["set-cookie"]?.[0] ?? "").split(/; */);
  const expected = ["httponly", "samesite=lax", ...(t.site.base.protocol === "https:" ? ["secure"] : [])];
  const came = attributes.map((attribute) => attribute.toLowerCase()).filter((one) => !/^path=/.test(one));
  t.equal(`${reply.sent}: the attributes of the cookie, without Max-Age`, came.sort(), expected);
  const texts = [await bob.plainWith(cookie), await bob.plainWith(cookie)];
  t.equal("two posts, a poll, then twice a poll with the cookie of its answer", texts, ["two", "two"]);
});

alone("a HEAD of a plain poll returns no message and skips none", async (t, ann, bob) => {
  await ann.post("kept");
  for (let n = 0; n < 4; n++) {
    const head = await bob.poll("", { method: "HEAD" });
    t.equal(head.sent, [head.status, head.body, head.headers["set-cookie"]], [200, "", undefined]);
  }
  t.equal("a post, four HEADs, a poll", await bob.plain(), "kept");
});

alone("plain polls and polls with a cursor are independent", async (t, ann, bob) => {
  const since = await bob.end();
  await ann.post("both ways");
  await t.hears(bob, since, ["both ways"]);
  t.equal("a post, a poll with a cursor, one without", await bob.plain(), "both ways");
  await t.hears(bob, since, ["both ways"]);
});
