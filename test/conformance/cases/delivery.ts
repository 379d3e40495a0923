/** Delivery: each message once, in order, to everybody, whatever becomes of connections. */
import type { Socket } from "node:net";
import { compare, type Person } from "../person.js";
import { about } from "../runner.js";
import type { Trial } from "../trial.js";

const POLL = "The long poll: all that are newer, in order";
const GONE = "The long poll: the client goes away; nothing is lost, since the cursor has not moved";
const { cases, add } = about("delivery");
export const delivery = cases;

add("a message posted before anybody polls is there for who comes later", POLL, "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await ann.end();
  await ann.post("early");
  await t.hears(bob, since, ["early"]);
  t.equal(`GET since=0 by somebody new`, (await t.hear(bob, "0", 1)).at(-1)?.text, "early");
});

add("a message answers the poll that is held", POLL, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const heard = t.hears(bob, since, ["hello"]);
  await t.settle();
  const id = await ann.post("hello");
  const [message] = await heard;
  t.equal("the message in the poll's answer", [message?.id, message?.user], [id, ann.name]);
});

add("messages posted between two polls come with the next one, in order", POLL, "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  for (const text of ["one", "two", "three"]) await ann.post(text);
  await t.hears(bob, since, ["one", "two", "three"]);
});

add("posts and polls that take turns give each message once, in order", POLL, "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const texts = Array.from({ length: 20 }, (_, n) => `turn ${n}`);
  const since = await bob.end();
  const heard: string[] = [];
  for (let cursor = since, n = 0; n < texts.length; n++) {
    // Half of them meet a poll that is held, half come between two.
    const poll = n % 2 === 0 ? bob.batch(`since=${cursor}&wait=3`) : undefined;
    await ann.post(texts[n] ?? "");
    const batch = await (poll ?? bob.batch(`since=${cursor}&wait=3`));
    heard.push(...t.mine(batch).map(({ text }) => text));
    cursor = batch.cursor;
    if (n === texts.length - 1)
      heard.push(...(await t.hear(bob, cursor, texts.length - heard.length)).map(({ text }) => text));
  }
  t.equal("20 posts, a poll before or after each", heard, texts);
});

add("everybody gets each message, and nobody's polls take one from another", POLL, "together", async (t) => {
  const people = await t.people(5);
  const [speaker] = people;
  const since = (await speaker?.end()) ?? "0";
  for (const text of ["a", "b", "c"]) await speaker?.post(text);
  // One after the other, so that a message that the first one took would be missed by the rest.
  for (const person of people) await t.hears(person, since, ["a", "b", "c"]);
});

add(
  "what is posted by many at once is one sequence, the same for all, with ids that grow",
  POLL,
  "together",
  async (t) => {
    const posters = await t.people(4);
    const readers = await t.people(3);
    const since = (await readers[0]?.end()) ?? "0";
    const reading = readers.map((reader) => t.hear(reader, since, 40));
    const ids = await Promise.all(
      posters.map(async (poster, p) => {
        const own: string[] = [];
        for (let n = 0; n < 10; n++) own.push(await poster.post(`${p}:${n}`));
        return own;
      }),
    );
    const heard = await Promise.all(reading);
    const all = ids.flat().sort(compare);
    t.equal("40 posts of 4 people: their ids", new Set(all).size, 40);
    for (const one of heard)
      t.equal(
        "what each of 3 readers heard, by id",
        one.map(({ id }) => id),
        all,
      );
    for (const own of ids)
      t.equal("one person's ids, in the order of their posts", [...own].sort(compare), own);
  },
);

add("two pages of one person both get everything", "The long poll: client", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const pages = ["page1", "page2"].map((page) => t.hears(bob, since, ["both"], page));
  await t.settle();
  await ann.post("both");
  await Promise.all(pages);
  await ann.post("again");
  for (const page of ["page1", "page2"]) await t.hears(bob, since, ["both", "again"], page);
});

add("asking twice with one cursor gives the same twice", POLL, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("twice");
  for (let n = 0; n < 3; n++) await t.hears(ann, since, ["twice"]);
  const both = [t.hears(ann, since, ["twice"]), t.hears(ann, since, ["twice"])];
  await Promise.all(both);
});

// In a noisy room a poll is soon answered with something else, so these have it to themselves.
add("a poll that its caller broke off takes nothing with it", GONE, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  for (let n = 0; n < 3; n++) {
    const gone = new AbortController();
    const poll = bob.poll(`since=${since}&wait=30`, { signal: gone.signal }).catch(() => undefined);
    await t.settle();
    gone.abort();
    await poll;
  }
  await ann.post("still there");
  await t.settle();
  await t.hears(bob, since, ["still there"]);
});

add(
  "a connection that is reset in the very moment of the message takes nothing with it",
  GONE,
  "alone",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    let since = await t.quiet(ann, bob);
    for (let n = 0; n < 5; n++) {
      const socket = hold(t, bob, since);
      await t.settle();
      const posted = ann.post(`kept ${n}`);
      socket.resetAndDestroy();
      await posted;
      await t.settle();
      const [message] = await t.hears(bob, since, [`kept ${n}`]);
      since = message?.id ?? since;
    }
  },
);

add("an answer that nobody reads takes nothing with it", GONE, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const socket = hold(t, bob, since).pause();
  await t.settle();
  await ann.post("unread");
  await t.settle();
  socket.destroy();
  await t.hears(bob, since, ["unread"]);
});

/** A poll on a socket of its own. */
function hold(t: Trial, { segment, cookie }: Person, since: string): Socket {
  const socket = t.site.connect();
  socket.write(
    `${t.site.head("GET", `get_post/${segment}?since=${since}&wait=30`, `Cookie: ${cookie}`)}\r\n`,
  );
  return socket;
}

add("400 polls of 20 people are all answered with a message, each once", POLL, "alone", async (t) => {
  const [ann, ...people] = await t.people(21);
  const since = (await ann?.end()) ?? "0";
  const polls = people.flatMap((person) =>
    Array.from({ length: 20 }, (_, n) => t.hear(person, since, 1, `c${n}`)),
  );
  await t.settle();
  await ann?.post("to all");
  const heard = await Promise.all(polls);
  const once = heard.filter((messages) => messages.length === 1 && messages[0]?.text === "to all").length;
  t.equal("400 polls, then one post: how many heard it once", once, 400);
});

add(
  "a long history comes in slices of at most 1 MiB, in order, and after a slice the next poll returns at once",
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
      // The messages are bounded; what is around them is little.
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
      "300 messages of 8,000 bytes, read in slices: the numbers heard",
      [...heard].sort(),
      texts.map((text) => text.slice(0, 4)),
    );
  },
);

add(
  "who is further behind than the backlog is told of the gap and gets what is kept, at most 1,000 in one answer",
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
