/** Polls: wait, supersede, and parameters. */
import { readBatch } from "../person.js";
import { about } from "../runner.js";
import { FORM, JSON_TYPE } from "../site.js";

const WAIT = "The long poll: wait";
const CLIENT = "The long poll: client, and a newer poll of the same client";
const { cases, add } = about("polls");
export const polls = cases;

/** The accepted delay of a time-out in milliseconds, for a busy machine. */
const LATE = 4000;

add("a poll without news ends after its wait with a valid cursor", WAIT, "quiet", async (t) => {
  const ann = await t.person();
  const batch = await t.silence(ann, "wait=1");
  t.equal(batch.reply.sent, batch.messages, []);
  const took = Math.round(batch.reply.took);
  t.expect(batch.reply.sent, "an end after 1 s", took >= 900 && took < 1000 + LATE, `${took} ms`);
  const next = await ann.batch(`since=${batch.cursor}&wait=0`);
  t.expect(next.reply.sent, "no `gap`", next.gap !== true, next.reply.body);
});

add("a poll without a wait is held for ten seconds", WAIT, "quiet", async (t) => {
  const batch = await t.silence(await t.person(), "");
  const took = Math.round(batch.reply.took);
  t.equal(batch.reply.sent, batch.messages, []);
  t.expect(batch.reply.sent, "an end after 10 s", took >= 9500 && took < 10_000 + LATE, `${took} ms`);
});

add("wait=0 returns at once, with or without news", WAIT, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const batch = await ann.batch(`since=${since}&wait=0`);
  t.expect(
    batch.reply.sent,
    "an answer at once",
    batch.reply.took < LATE,
    `${Math.round(batch.reply.took)} ms`,
  );
  await ann.post("news");
  const news = await ann.batch(`since=${since}&wait=0`);
  t.equal(
    news.reply.sent,
    t.mine(news).map(({ text }) => text),
    ["news"],
  );
});

add("since=now returns only later messages", "The long poll: since", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const id = await ann.post("before");
  const batch = await bob.batch("since=now&wait=0");
  t.equal(batch.reply.sent, t.mine(batch), []);
  await ann.post("after");
  await t.hears(bob, batch.cursor, ["after"]);
  await t.hears(bob, id, ["after"]);
});

add("a held poll with since=now gets the next message", "The long poll: since", "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await t.quiet(ann, bob);
  const poll = bob.batch("since=now&wait=5");
  await t.settle();
  await ann.post("next");
  const batch = await poll;
  t.equal(
    batch.reply.sent,
    t.mine(batch).map(({ text }) => text),
    ["next"],
  );
});

for (const wait of ["soon", "-1", "61", "1e9", "NaN", "Infinity", ""]) {
  add(`wait=${wait} is refused`, `${WAIT}; Errors: bad_request`, "together", async (t) => {
    t.refused(await (await t.person()).poll(`since=0&wait=${wait}`), 400, "bad_request");
  });
}

add("wait=60 is the longest accepted wait", WAIT, "together", async (t) => {
  const ann = await t.person();
  await ann.post("at once");
  t.status(await ann.poll("since=0&wait=60"), 200);
});

add("a newer poll of the same client supersedes the held one, and no other", CLIENT, "alone", async (t) => {
  t.single();
  const [ann, bob] = [await t.person(), await t.person()];
  const cursor = await t.quiet(ann, bob);
  const [held, other, page] = ["client=a", "client=b", ""].map((client) =>
    ann.batch(`since=${cursor}&wait=8&${client}`),
  );
  const [his] = [bob.batch(`since=${cursor}&wait=8&client=a`)];
  await t.settle();
  const newer = ann.batch(`since=${cursor}&wait=8&client=a`);
  const loser = await held;
  t.expect(
    `${loser?.reply.sent}, held, then the same again`,
    '200 with "messages": [], "superseded": true and a cursor',
    loser?.superseded === true && loser.messages.length === 0 && loser.cursor === cursor,
    loser?.reply.body,
  );
  t.expect(
    "the poll that was superseded",
    "an end when the newer one came, not at its own",
    (loser?.reply.took ?? 0) < LATE,
    `${Math.round(loser?.reply.took ?? 0)} ms`,
  );
  await ann.post("to the others");
  for (const batch of [await newer, await other, await page, await his]) {
    t.expect(
      batch?.reply.sent ?? "",
      "a poll that was not superseded, with the message",
      batch?.superseded === undefined && batch?.messages.at(-1)?.text === "to the others",
      batch?.reply.body,
    );
  }
});

add("a newer poll with wait=0 supersedes the held one", CLIENT, "alone", async (t) => {
  t.single();
  const ann = await t.person();
  const cursor = await t.quiet(ann);
  const held = ann.batch(`since=${cursor}&wait=8&client=a`);
  await t.settle();
  await ann.batch(`since=${cursor}&wait=0&client=a`);
  const { reply, superseded } = await held;
  t.expect(
    `${reply.sent}, held, then the same with wait=0`,
    '"superseded": true',
    superseded === true,
    reply.body,
  );
});

add("a client id has at most 64 characters of A-Z, a-z, 0-9, _ and -", CLIENT, "together", async (t) => {
  const ann = await t.person();
  t.status(await ann.poll(`since=now&wait=0&client=${"aZ09_-".padEnd(64, "x")}`), 200);
  for (const client of ["x".repeat(65), "a%20b", "%C3%A9", "a.b", "a%00"]) {
    t.refused(await ann.poll(`since=now&wait=0&client=${client}`), 400, "bad_request");
  }
});

add(
  "a poll by POST takes its fields from the query, a form or JSON",
  "Routes: get_post; Bodies",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    await ann.post("by POST");
    const path = `get_post/${ann.segment}`;
    for (const reply of [
      await ann.ask(`${path}?since=${since}&wait=0`, { method: "POST" }),
      await ann.ask(path, { method: "POST", headers: FORM, body: `since=${since}&wait=0` }),
      await ann.ask(path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify({ since, wait: "0" }) }),
    ]) {
      t.equal(
        reply.sent,
        t.mine(readBatch(reply)).map(({ text }) => text),
        ["by POST"],
      );
    }
  },
);
