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
  const heard = t.hears(bob, since, ["hello"], { held: true });
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

add("two pages of one person both get everything", "The long poll: client", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const pages = ["page1", "page2"].map((page) => t.hears(bob, since, ["both"], { client: page, held: true }));
  await t.settle();
  await ann.post("both");
  await Promise.all(pages);
  await ann.post("again");
  for (const page of ["page1", "page2"]) await t.hears(bob, since, ["both", "again"], { client: page });
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
