/** Delivery: each message once, in order, to every user, whatever happens to connections. */
import type { Socket } from "node:net";
import { compare, type Person } from "../person.js";
import { about } from "../runner.js";
import type { Trial } from "../trial.js";

const POLL = "The long poll: all that are newer, in order";
const GONE = "The long poll: the client goes away; nothing is lost, since the cursor has not moved";
const { cases, add } = about("delivery");
export const delivery = cases;

add("a later poll gets a message that was posted before anybody polled", POLL, "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await ann.end();
  await ann.post("early");
  await t.hears(bob, since, ["early"]);
  t.equal(`GET since=0 by somebody new`, (await t.hear(bob, "0", 1)).at(-1)?.text, "early");
});

add("a new message answers a held poll", POLL, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const heard = t.hears(bob, since, ["hello"], { held: true });
  await t.settle();
  const id = await ann.post("hello");
  const [message] = await heard;
  t.equal("the message in the poll's answer", [message?.id, message?.user], [id, ann.name]);
});

add(
  "the next poll gets the messages that were posted between two polls, in order",
  POLL,
  "together",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    const since = await bob.end();
    for (const text of ["one", "two", "three"]) await ann.post(text);
    await t.hears(bob, since, ["one", "two", "three"]);
  },
);

add("alternating posts and polls deliver each message once, in order", POLL, "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const texts = Array.from({ length: 20 }, (_, n) => `turn ${n}`);
  const since = await bob.end();
  const heard: string[] = [];
  for (let cursor = since, n = 0; n < texts.length; n++) {
    // Half of the messages meet a held poll, half arrive between two polls.
    const poll = n % 2 === 0 ? bob.batch(`since=${cursor}&wait=12`) : undefined;
    await ann.post(texts[n] ?? "");
    const batch = await (poll ?? bob.batch(`since=${cursor}&wait=3`));
    heard.push(...t.mine(batch).map(({ text }) => text));
    cursor = batch.cursor;
    if (n === texts.length - 1)
      heard.push(...(await t.hear(bob, cursor, texts.length - heard.length)).map(({ text }) => text));
  }
  t.equal("20 posts, a poll before or after each", heard, texts);
});

add("every user gets each message, whichever user polls first", POLL, "together", async (t) => {
  const people = await t.people(5);
  const [speaker] = people;
  const since = (await speaker?.end()) ?? "0";
  for (const text of ["a", "b", "c"]) await speaker?.post(text);
  // One after the other: if the first poll removed a message, the others would miss it.
  for (const person of people) await t.hears(person, since, ["a", "b", "c"]);
});

add(
  "simultaneous posts form one sequence with growing ids, the same for all readers",
  POLL,
  "together",
  async (t) => {
    const posters = await t.people(4);
    const readers = await t.people(3);
    const since = (await readers[0]?.end()) ?? "0";
    const reading = readers.map((reader) => t.hear(reader, since, 40, { held: true }));
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

add("two pages of one user both get every message", "The long poll: client", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const pages = ["page1", "page2"].map((page) => t.hears(bob, since, ["both"], { client: page, held: true }));
  await t.settle();
  await ann.post("both");
  await Promise.all(pages);
  await ann.post("again");
  for (const page of ["page1", "page2"]) await t.hears(bob, since, ["both", "again"], { client: page });
});

add("two polls with the same cursor get the same messages", POLL, "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("twice");
  for (let n = 0; n < 3; n++) await t.hears(ann, since, ["twice"]);
  const both = [t.hears(ann, since, ["twice"]), t.hears(ann, since, ["twice"])];
  await Promise.all(both);
});

// Messages of other cases would answer the held polls, so these run alone.
add("an aborted poll loses no message", GONE, "alone", async (t) => {
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

add("a connection that is reset while a message arrives loses no message", GONE, "alone", async (t) => {
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
});

add("an unread reply loses no message", GONE, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const socket = hold(t, bob, since).pause();
  await t.settle();
  await ann.post("unread");
  await t.settle();
  socket.destroy();
  await t.hears(bob, since, ["unread"]);
});

/** Sends a poll on its own socket. */
function hold(t: Trial, { segment, cookie }: Person, since: string): Socket {
  const socket = t.site.connect();
  socket.write(
    `${t.site.head("GET", `get_post/${segment}?since=${since}&wait=30`, `Cookie: ${cookie}`)}\r\n`,
  );
  return socket;
}
