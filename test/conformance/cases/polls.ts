/** Polls: wait, supersede, and parameters. */
import { readBatch } from "../person.js";
import { about } from "../runner.js";
import { FORM, JSON_TYPE } from "../site.js";

const { together, quiet, alone } = about("polls", "The long poll");

/** The accepted delay of a time-out in milliseconds, for a busy machine. */
const LATE = 8000;

for (const [what, query, ms] of [
  ["a poll without news ends after its wait", "wait=1", 1000],
  ["a poll without a wait is held for ten seconds", "", 10_000],
] as const) {
  quiet(`${what}, with a valid cursor`, async (t) => {
    const ann = await t.person();
    const { reply, messages, cursor } = await t.silence(ann, query);
    t.equal(reply.sent, messages, []);
    t.took(reply, ms, ms + LATE);
    t.gap(await ann.batch(`since=${cursor}&wait=0`), false);
  });
}

together("wait=0 returns at once, with or without news", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  t.took((await ann.batch(`since=${since}&wait=0`)).reply, 0, LATE);
  await ann.post("news");
  t.texts(await ann.batch(`since=${since}&wait=0`), ["news"]);
});

together("since=now returns only later messages", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const id = await ann.post("before");
  const batch = await bob.batch("since=now&wait=0");
  t.texts(batch, []);
  await ann.post("after");
  await t.hears(bob, batch.cursor, ["after"]);
  await t.hears(bob, id, ["after"]);
});

alone("a held poll with since=now gets the next message", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await t.quiet(ann, bob);
  const poll = bob.batch("since=now&wait=5");
  await t.settle();
  await ann.post("next");
  t.texts(await poll, ["next"]);
});

together("a wait is a number of seconds from 0 to 60", async (t) => {
  const ann = await t.person();
  await ann.post("at once");
  t.status(await ann.poll("since=0&wait=60"), 200);
  for (const wait of ["soon", "-1", "61", "1e9", "NaN", "Infinity", ""])
    t.refused(await ann.poll(`since=0&wait=${wait}`), 400, "bad_request");
});

alone("a newer poll of the same client supersedes the held one, and no other", async (t) => {
  t.single();
  const [ann, bob] = [await t.person(), await t.person()];
  const cursor = await t.quiet(ann, bob);
  const [held, ...others] = [
    ann.batch(`since=${cursor}&wait=8&client=a`),
    ann.batch(`since=${cursor}&wait=8&client=b`),
    ann.batch(`since=${cursor}&wait=8`),
    bob.batch(`since=${cursor}&wait=8&client=a`),
  ] as const;
  await t.settle();
  const newer = ann.batch(`since=${cursor}&wait=8&client=a`);
  const { reply, messages, superseded, cursor: next } = await held;
  t.expect(
    reply,
    '200 with "messages": [], "superseded": true and the same cursor',
    superseded === true && messages.length === 0 && next === cursor,
  );
  t.took(reply, 0, 6000);
  await ann.post("to the others");
  for (const batch of [await newer, ...(await Promise.all(others))]) {
    const right = batch.superseded === undefined && batch.messages.at(-1)?.text === "to the others";
    t.expect(batch.reply, "a poll that was not superseded, with the message", right);
  }
});

alone("a newer poll with wait=0 supersedes the held one", async (t) => {
  t.single();
  const ann = await t.person();
  const cursor = await t.quiet(ann);
  const held = ann.batch(`since=${cursor}&wait=8&client=a`);
  await t.settle();
  await ann.batch(`since=${cursor}&wait=0&client=a`);
  const { reply, superseded } = await held;
  const sent = `${reply.sent}, held, then the same with wait=0`;
  t.expect(sent, '"superseded": true', superseded === true, reply.body);
});

together("a client id has at most 64 characters of A-Z, a-z, 0-9, _ and -", async (t) => {
  const ann = await t.person();
  t.status(await ann.poll(`since=now&wait=0&client=${"aZ09_-".padEnd(64, "x")}`), 200);
  for (const client of ["x".repeat(65), "a%20b", "%C3%A9", "a.b", "a%00"]) {
    t.refused(await ann.poll(`since=now&wait=0&client=${client}`), 400, "bad_request");
    t.refused(await ann.leave(client), 400, "bad_request");
  }
});

together("a poll by POST takes its fields from the query, a form or JSON", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("by POST");
  for (const [query, headers, body] of [
    [`since=${since}&wait=0`, {}, ""],
    ["", FORM, `since=${since}&wait=0`],
    ["", JSON_TYPE, JSON.stringify({ since, wait: "0" })],
  ] as const)
    t.texts(readBatch(await ann.poll(query, { method: "POST", headers, body })), ["by POST"]);
});
