/** Restarts, kills and drains, on servers that the kit starts. */
import { compare, type Person, textOf } from "../person.js";
import { about } from "../runner.js";
import type { Trial } from "../trial.js";

const { started } = about("restarts", "The long poll; Posting; The program");

/** Returns the same user at a server on another port, which can be part of the cookie's name. */
function moved({ name, cookie }: Person, from: Trial, to: Trial): Person {
  return to.back({ name, cookie: cookie.replace(`_${from.site.base.port}=`, `_${to.site.base.port}=`) });
}

started("a restart keeps messages, cursors, growing ids, idempotency keys and plain polls", async (t) => {
  const data = t.folder();
  const [before, t1] = await t.start(data);
  const [ann, bob] = [await t1.person(), await t1.person()];
  const since = await ann.end();
  const texts = ["one", "两", "three\nlines", "😀"];
  for (const text of texts) await ann.post(text);
  const id = await ann.post("five", { "Idempotency-Key": "k" });
  t.equal("five posts, a plain poll", await bob.plain(), "one");
  t.equal("SIGTERM: the exit status", await before.stop(), 0);
  const [, t2] = await t.start(data);
  // The same address as before, since the port can be part of the cookies' names.
  const headers = { Cookie: bob.cookies, Host: t1.site.base.host };
  const reply = await t2.ask(`get_post/${bob.segment}`, { headers });
  t.equal("five posts, a plain poll, SIGTERM, restart, a plain poll", textOf(reply), "两");
  const again = moved(ann, t1, t2);
  await t2.hears(again, since, [...texts, "five"]);
  t.gap(await again.batch(`since=${since}&wait=0`), false);
  const same = await again.post("five", { "Idempotency-Key": "k" });
  t.equal("the same key after the restart: the id", same, id);
  t.refused(await again.say("other", { "Idempotency-Key": "k" }), 422, "key_reused");
  const next = await again.post("six");
  t.expect("a post after the restart", `an id above ${id}`, compare(next, id) > 0, next);
  await t2.hears(again, id, ["six"]);
});

started("a kill during posts loses no acknowledged message", async (t) => {
  const data = t.folder();
  const [before, t1] = await t.start(data);
  const people = await t1.people(4);
  const [ann] = people as [Person];
  const since = await ann.end();
  const kept: string[] = [];
  let enough: (value?: unknown) => void = () => {};
  const many = new Promise((resolve) => {
    enough = resolve;
  });
  const posting = people.map(async (person, p) => {
    for (let n = 0; (await person.say(`${p}:${n}`).catch(() => undefined))?.status === 200; n++)
      if (kept.push(`${p}:${n}`) === 40) enough();
  });
  // A server that refuses a post ends its poster.
  await Promise.race([many, Promise.all(posting)]);
  t.expect("posts of four people, before the kill", "200 for 40 of them", kept.length >= 40, kept.length);
  await before.stop("SIGKILL");
  await Promise.all(posting);
  const [, t2] = await t.start(data);
  const [again] = people.map((person) => moved(person, t1, t2)) as [Person];
  // A message that was kept but not acknowledged in time can be there too.
  const messages = await t2.hear(again, since, kept.length + 1);
  const heard = messages.map(({ text }) => text);
  const lost = kept.filter((text) => !heard.includes(text));
  t.equal(`${kept.length} answered posts, SIGKILL, restart: those that are lost`, lost, []);
  t.equal("those that are there twice", heard.length - new Set(heard).size, 0);
});

started("a cursor of another history gets a gap", async (t) => {
  const [, old] = await t.start();
  const since = await (await old.person()).post("of another history");
  const [, fresh] = await t.start();
  const bob = await fresh.person();
  await bob.post("of this one");
  const batch = await bob.batch(`since=${since}&wait=10`);
  t.gap(batch, true);
  fresh.texts(batch, ["of this one"]);
});

started("a drain answers every poll with a retry time, and the process ends with 0 within 5 s", async (t) => {
  const [server, inside] = await t.start();
  const people = await inside.people(10);
  const [ann] = people as [Person];
  const end = await inside.quiet(ann, ...people);
  const polls = people.flatMap((person) =>
    Array.from({ length: 10 }, (_, n) => person.batch(`since=${end}&wait=20&client=c${n}`)),
  );
  await ann.ask(`chatroom/${ann.segment}/`);
  const plain = ann.plain();
  await t.settle();
  const began = performance.now();
  const exit = server.stop();
  const retries: number[] = [];
  for (const { reply, messages, retry = -1, cursor } of await Promise.all(polls)) {
    const right = messages.length === 0 && cursor === end && retry >= 0 && retry <= 2000;
    t.expect(reply, 'an empty batch, the same cursor, "retry" of 0 to 2,000 ms', right);
    t.expect(reply, "Connection: close", reply.headers.connection === "close");
    retries.push(retry);
  }
  const [least, most, different] = [Math.min(...retries), Math.max(...retries), new Set(retries).size];
  const isSpread = different > 50 && most - least > 1000;
  const came = `${different} values, ${least} to ${most} ms`;
  t.expect("100 held polls, then SIGTERM", "`retry` spread at random over two seconds", isSpread, came);
  t.equal("a poll without a cursor, held, then SIGTERM", await plain, "");
  t.equal("SIGTERM: the exit status", await exit, 0);
  const took = Math.round(performance.now() - began);
  t.expect("SIGTERM", "an end within 5 s", took < 5000, `${took} ms`);
});
