/** Delivery: each message once, in order, to every user, whatever happens to connections, and with many polls. */
import type { Socket } from "node:net";
import { compare, type Message, type Person } from "../person.js";
import { about } from "../runner.js";
import type { Trial } from "../trial.js";

const { together, alone } = about("delivery", "The long poll");

together("every user gets all messages between two polls, as often as it asks", async (t, ann, bob, cat) => {
  const since = await ann.end();
  const texts = ["a", "b", "c"];
  for (const text of texts) await ann.post(text);
  // One after the other: if the first poll removed a message, the others would miss it.
  for (const person of [bob, cat, ann, bob]) await t.hears(person, since, texts);
  await Promise.all([t.hears(ann, since, texts), t.hears(ann, since, texts)]);
  t.equal("GET since=0 by somebody new", (await t.hear(await t.person(), "0", 3)).at(-1)?.text, "c");
});

alone("a new message answers held polls with a cursor and with since=now", async (t, ann, bob) => {
  const since = await t.quiet(ann, bob);
  const polls = [since, "now"].map((cursor) => t.hears(bob, cursor, ["hello"], { held: true }));
  await t.settle();
  const id = await ann.post("hello");
  for (const [message] of await Promise.all(polls))
    t.equal("the message in the poll's answer", [message?.id, message?.user], [id, ann.name]);
});

together("alternating posts and polls deliver each message once, in order", async (t, ann, bob) => {
  const texts = Array.from({ length: 20 }, (_, n) => `turn ${n}`);
  const heard: string[] = [];
  let cursor = await bob.end();
  for (const [n, text] of texts.entries()) {
    // Half of the messages meet a held poll, half arrive between two polls.
    const poll = n % 2 === 0 ? bob.batch(`since=${cursor}&wait=12`) : undefined;
    await ann.post(text);
    const batch = await (poll ?? bob.batch(`since=${cursor}&wait=3`));
    heard.push(...t.mine(batch).map(({ text }) => text));
    cursor = batch.cursor;
  }
  const rest = await t.hear(bob, cursor, texts.length - heard.length);
  t.equal("20 posts, a poll before or after each", [...heard, ...rest.map(({ text }) => text)], texts);
});

together("simultaneous posts form one sequence with growing ids for all readers", async (t, ann) => {
  const [posters, readers] = [await t.people(4), await t.people(3)];
  const since = await ann.end();
  const reading = readers.map((reader) => t.hear(reader, since, 40, { held: true }));
  const ids = await Promise.all(
    posters.map(async (poster, p) => {
      const own: string[] = [];
      for (let n = 0; n < 10; n++) own.push(await poster.post(`${p}:${n}`));
      return own;
    }),
  );
  const all = ids.flat().sort(compare);
  t.equal("40 posts of 4 people: their ids", new Set(all).size, 40);
  for (const heard of await Promise.all(reading))
    t.equal("what each of 3 readers heard, by id", `${heard.map(({ id }) => id)}`, `${all}`);
  for (const own of ids) t.equal("a person's ids, in the order of the posts", own.toSorted(compare), own);
});

together("two pages of one user both get every message", async (t, ann, bob) => {
  const since = await bob.end();
  const pages = ["page1", "page2"].map((page) => t.hears(bob, since, ["both"], { client: page, held: true }));
  await t.settle();
  await ann.post("both");
  await Promise.all(pages);
  await ann.post("again");
  for (const page of ["page1", "page2"]) await t.hears(bob, since, ["both", "again"], { client: page });
});

/** When the connection of a poll ends: before a post, in the moment of the post, or with an unread reply. */
const MOMENTS = ["before", "during", "during", "after"];

for (const [what, end] of [
  ["reset", (socket: Socket) => socket.resetAndDestroy()],
  ["closed", (socket: Socket) => socket.destroy()],
] as const)
  for (const kind of ["poll", "plain poll"])
    alone(`a ${kind} whose connection is ${what} loses nothing`, async (t, ann, bob) => {
      let since = kind === "poll" ? await t.quiet(ann, bob) : undefined;
      for (const [n, moment] of MOMENTS.entries()) {
        const text = `${n}: ${what} ${moment} this post`;
        const socket = t.hold(bob, since ? `?since=${since}&wait=30` : "").pause();
        await t.settle();
        if (moment === "before") end(socket);
        await t.settle();
        const posted = ann.post(text);
        if (moment === "during") end(socket);
        const id = await posted;
        if (moment === "after") await t.settle();
        end(socket);
        if (since) await t.hears(bob, since, [text]);
        else t.equal(`GET get_post/${bob.segment} with the cookie from before`, await bob.plain(), text);
        since &&= id;
      }
    });

const much = about("much at once", "The long poll").alone;

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

much("400 polls of 20 users all get a message, each once", async (t, ann) => {
  const people = await t.people(20);
  // The users are present before the polls, or twenty join notices would answer the 400 polls.
  const since = await t.quiet(ann, ...people);
  const clients = Array.from({ length: 20 }, (_, n) => ({ client: `c${n}`, held: true }));
  const polls = people.flatMap((person) => clients.map((how) => t.hear(person, since, 1, how)));
  await t.settle();
  await ann.post("to all");
  const heard = await Promise.all(polls);
  const once = heard.filter((messages) => messages.length === 1 && messages[0]?.text === "to all").length;
  t.equal("400 polls, then one post: the number that received it once", once, 400);
});

much("a long backlog arrives in batches of at most 1 MiB, and the next poll returns at once", async (t) => {
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

much("a reader behind the backlog gets a gap and the kept messages, at most 1,000 per reply", async (t) => {
  // `--backlog` says how many are kept.
  const { backlog } = t.here;
  const texts = Array.from({ length: backlog + 100 }, (_, n) => `${n}`);
  const [ann, since] = await postAll(t, texts);
  const heard: Message[] = [];
  for (let cursor = since, more = true; more; ) {
    const batch = await ann.batch(`since=${cursor}&wait=0`);
    // The first reply has the gap.
    t.gap(batch, heard.length === 0);
    const { length } = batch.messages;
    t.expect(batch.reply.sent, "at most 1,000 messages", length <= 1000, `${length} messages`);
    heard.push(...batch.messages);
    more = length > 0;
    cursor = batch.cursor;
  }
  t.equal(`${texts.length} posts, and polls to the end: how many are kept`, heard.length, backlog);
  t.gap(await ann.batch("since=0&wait=0"), false);
});
