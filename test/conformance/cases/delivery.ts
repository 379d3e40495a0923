/** Delivery: each message once, in order, to every user, whatever happens to connections. */
import { compare } from "../person.js";
import { about } from "../runner.js";

const { together, alone } = about("delivery", "The long poll");

together("a later poll gets a message that was posted before anybody polled", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await ann.end();
  await ann.post("early");
  await t.hears(bob, since, ["early"]);
  t.equal(`GET since=0 by somebody new`, (await t.hear(bob, "0", 1)).at(-1)?.text, "early");
});

alone("a new message answers a held poll", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const heard = t.hears(bob, since, ["hello"], { held: true });
  await t.settle();
  const id = await ann.post("hello");
  const [message] = await heard;
  t.equal("the message in the poll's answer", [message?.id, message?.user], [id, ann.name]);
});

together("alternating posts and polls deliver each message once, in order", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
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

together("every user gets all messages between two polls, whichever user polls first", async (t) => {
  const people = await t.people(5);
  const [speaker] = people;
  const since = (await speaker?.end()) ?? "0";
  for (const text of ["a", "b", "c"]) await speaker?.post(text);
  // One after the other: if the first poll removed a message, the others would miss it.
  for (const person of people) await t.hears(person, since, ["a", "b", "c"]);
});

together("simultaneous posts form one sequence with growing ids, the same for all readers", async (t) => {
  const [posters, readers] = [await t.people(4), await t.people(3)];
  const since = (await readers[0]?.end()) ?? "0";
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
  for (const heard of await Promise.all(reading)) {
    const came = heard.map(({ id }) => id);
    t.equal("what each of 3 readers heard, by id", came, all);
  }
  for (const own of ids) t.equal("a person's ids, in the order of the posts", [...own].sort(compare), own);
});

together("two pages of one user both get every message", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const pages = ["page1", "page2"].map((page) => t.hears(bob, since, ["both"], { client: page, held: true }));
  await t.settle();
  await ann.post("both");
  await Promise.all(pages);
  await ann.post("again");
  for (const page of ["page1", "page2"]) await t.hears(bob, since, ["both", "again"], { client: page });
});

together("two polls with the same cursor get the same messages", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("twice");
  for (let n = 0; n < 3; n++) await t.hears(ann, since, ["twice"]);
  await Promise.all([t.hears(ann, since, ["twice"]), t.hears(ann, since, ["twice"])]);
});

alone("an aborted poll loses no message", async (t) => {
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
  await t.hears(bob, since, ["still there"]);
});

alone("a connection that is reset while a message arrives loses no message", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  let since = await t.quiet(ann, bob);
  for (let n = 0; n < 5; n++) {
    const socket = t.hold(bob, `?since=${since}&wait=30`);
    await t.settle();
    const posted = ann.post(`kept ${n}`);
    socket.resetAndDestroy();
    await posted;
    const [message] = await t.hears(bob, since, [`kept ${n}`]);
    since = message?.id ?? since;
  }
});

alone("an unread reply loses no message", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const socket = t.hold(bob, `?since=${since}&wait=30`).pause();
  await t.settle();
  await ann.post("unread");
  await t.settle();
  socket.destroy();
  await t.hears(bob, since, ["unread"]);
});
