/** Load: many polls, long backlogs, and readers behind the backlog. */
import { about } from "../runner.js";

const POLL = "The long poll: all that are newer, in order, at most 1,000 or 1 MiB of them";
const { cases, add } = about("much at once");
export const much = cases;

add("400 polls of 20 users all get a message, each once", POLL, "alone", async (t) => {
  const [ann, ...people] = await t.people(21);
  // The users are present before the polls, or twenty join notices would answer the 400 polls.
  const since = ann ? await t.quiet(ann, ...people) : "0";
  const polls = people.flatMap((person) =>
    Array.from({ length: 20 }, (_, n) => t.hear(person, since, 1, { client: `c${n}`, held: true })),
  );
  await t.settle();
  await ann?.post("to all");
  const heard = await Promise.all(polls);
  const once = heard.filter((messages) => messages.length === 1 && messages[0]?.text === "to all").length;
  t.equal("400 polls, then one post: the number that received it once", once, 400);
});

add(
  "a long backlog arrives in batches of at most 1 MiB, and the next poll returns at once",
  POLL,
  "alone",
  async (t) => {
    const people = await t.people(10);
    const [ann] = people;
    if (!ann) return;
    const since = await ann.end();
    // 300 messages of 8,000 bytes are 2.3 MiB.
    const texts = Array.from({ length: 300 }, (_, n) => `${`${n}`.padStart(4, "0")}${"😀".repeat(1996)}`);
    await Promise.all(
      people.map(async (person, p) => {
        for (let n = p; n < texts.length; n += people.length) await person.post(texts[n] ?? "");
      }),
    );
    const heard: string[] = [];
    let cursor = since;
    while (heard.length < texts.length) {
      const batch = await ann.batch(`since=${cursor}&wait=8`);
      // The bound is for the messages. The rest of the reply is small.
      const bytes = Buffer.byteLength(batch.reply.body);
      t.expect(
        batch.reply.sent,
        "at most 1 MiB of messages",
        bytes <= 1024 * 1024 + 16_384,
        `${bytes} bytes`,
      );
      t.expect(batch.reply.sent, "no `gap`", batch.gap !== true, "gap: true");
      t.expect(
        batch.reply.sent,
        "the rest at once",
        batch.messages.length > 0 && batch.reply.took < 6000,
        `${batch.messages.length} messages after ${Math.round(batch.reply.took)} ms`,
      );
      heard.push(...t.mine(batch).map(({ text }) => text.slice(0, 4)));
      cursor = batch.cursor;
    }
    t.equal(
      "300 messages of 8,000 bytes, read in batches: the numbers received",
      [...heard].sort(),
      texts.map((text) => text.slice(0, 4)),
    );
  },
);

add(
  "a reader behind the backlog gets a gap and the kept messages, at most 1,000 per reply",
  "The long poll: gap",
  "alone",
  async (t) => {
    const people = await t.people(20);
    const [ann] = people;
    if (!ann) return;
    const since = await ann.end();
    const all = t.here.backlog + 100;
    await Promise.all(
      people.map(async (person, p) => {
        for (let n = p; n < all; n += people.length) await person.post(`${n}`);
      }),
    );
    const first = await ann.batch(`since=${since}&wait=0`);
    const sent = `${all} posts, then ${first.reply.sent}`;
    t.expect(
      sent,
      "at most 1,000 messages",
      first.messages.length <= 1000,
      `${first.messages.length} messages`,
    );
    t.expect(
      sent,
      `"gap": true (of ${t.here.backlog} kept; see --backlog)`,
      first.gap === true,
      `no gap and ${first.messages.length} messages`,
    );
    const heard = [...first.messages];
    for (let cursor = first.cursor, more = true; more; ) {
      const batch = await ann.batch(`since=${cursor}&wait=0`);
      t.expect(batch.reply.sent, "no second gap", batch.gap !== true, "gap: true");
      heard.push(...batch.messages);
      more = batch.messages.length > 0;
      cursor = batch.cursor;
    }
    t.equal(`${sent}, and on to the end: how many are kept`, heard.length, t.here.backlog);
    const old = await ann.batch("since=0&wait=0");
    t.expect(old.reply.sent, "no `gap`: 0 is everything that is kept", old.gap !== true, "gap: true");
  },
);
