/** Load: many polls, long backlogs, and readers behind the backlog. */
import type { Message, Person } from "../person.js";
import { about } from "../runner.js";
import type { Trial } from "../trial.js";

const { alone } = about("much at once", "The long poll");

/** Posts all texts as several people at the same time. Returns the first of them and the cursor from before. */
async function postAll(t: Trial, texts: readonly string[]): Promise<[Person, string]> {
  const [ann, ...others] = [await t.person(), ...(await t.people(24))] as const;
  const since = await ann.end();
  const left = [...texts];
  const work = async (person: Person) => {
    for (let text = left.shift(); text !== undefined; text = left.shift()) await person.post(text);
  };
  await Promise.all([ann, ...others].map(work));
  return [ann, since];
}

alone("400 polls of 20 users all get a message, each once", async (t) => {
  const [ann, people] = [await t.person(), await t.people(20)];
  // The users are present before the polls, or twenty join notices would answer the 400 polls.
  const since = await t.quiet(ann, ...people);
  const polls = people.flatMap((person) =>
    Array.from({ length: 20 }, (_, n) => t.hear(person, since, 1, { client: `c${n}`, held: true })),
  );
  await t.settle();
  await ann.post("to all");
  const heard = await Promise.all(polls);
  const once = heard.filter((messages) => messages.length === 1 && messages[0]?.text === "to all").length;
  t.equal("400 polls, then one post: the number that received it once", once, 400);
});

alone("a long backlog arrives in batches of at most 1 MiB, and the next poll returns at once", async (t) => {
  // 150 messages of 8,000 bytes are 1.1 MiB.
  const texts = Array.from({ length: 150 }, (_, n) => `${`${n}`.padStart(4, "0")}${"😀".repeat(1996)}`);
  const [ann, since] = await postAll(t, texts);
  const heard: string[] = [];
  for (let cursor = since; heard.length < texts.length; ) {
    const batch = await ann.batch(`since=${cursor}&wait=8`);
    // The bound is for the messages. The rest of the reply is small.
    const bytes = Buffer.byteLength(batch.reply.body);
    t.expect(batch.reply.sent, "at most 1 MiB of messages", bytes <= 1024 * 1024 + 16_384, `${bytes} bytes`);
    t.gap(batch, false);
    t.expect(batch.reply, "the rest", batch.messages.length > 0);
    t.took(batch.reply, 0, 6000);
    heard.push(...t.mine(batch).map(({ text }) => text));
    cursor = batch.cursor;
  }
  t.equal("150 messages of 8,000 bytes, read in batches", heard.sort(), texts);
});

alone("a reader behind the backlog gets a gap and the kept messages, at most 1,000 per reply", async (t) => {
  const { backlog } = t.here;
  const [ann, since] = await postAll(
    t,
    Array.from({ length: backlog + 100 }, (_, n) => `${n}`),
  );
  const heard: Message[] = [];
  for (let cursor = since, more = true; more; ) {
    const batch = await ann.batch(`since=${cursor}&wait=0`);
    // The first reply has the gap. `--backlog` says how many are kept.
    t.gap(batch, heard.length === 0);
    const { length } = batch.messages;
    t.expect(batch.reply.sent, "at most 1,000 messages", length <= 1000, `${length} messages`);
    heard.push(...batch.messages);
    more = length > 0;
    cursor = batch.cursor;
  }
  t.equal(`${backlog + 100} posts, and polls to the end: how many are kept`, heard.length, backlog);
  t.gap(await ann.batch("since=0&wait=0"), false);
});
