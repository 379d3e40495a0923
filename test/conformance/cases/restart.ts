/** Restarts, kills, drains and clock changes, on servers that the kit starts. */
import { setTimeout as sleep } from "node:timers/promises";
import { compare, type Person, textOf } from "../person.js";
import { about } from "../runner.js";
import type { Started } from "../start.js";
import type { Trial } from "../trial.js";

const KEPT = "Routes: 200 once the message is kept";
const DRAIN = "The long poll: the server drains; The program: SIGTERM";
/** The offsets of the clock, in seconds. */
const HOUR = 3600;
const { cases, add } = about("restarts");
export const restarts = cases;

/** Returns the same user at a server on another port, which can be part of the cookie's name. */
function moved({ name, cookie }: Person, from: Trial, to: Trial): Person {
  return to.back({ name, cookie: cookie.replace(`_${from.site.base.port}=`, `_${to.site.base.port}=`) });
}

add(
  "a restart keeps messages, cursors, growing ids and idempotency keys",
  `${KEPT}; Posting: also after a restart`,
  "started",
  async (t) => {
    const data = await t.folder();
    const [before, t1] = await t.start({ data });
    const ann = await t1.person();
    const since = await ann.end();
    const texts = ["one", "两", "three\nlines", "😀"];
    for (const text of texts) await ann.post(text);
    const id = await ann.post("five", { "Idempotency-Key": "k" });
    t.equal("SIGTERM: the exit status", await before.stop(), 0);
    const [, t2] = await t.start({ data });
    const again = moved(ann, t1, t2);
    await t2.hears(again, since, [...texts, "five"]);
    const batch = await again.batch(`since=${since}&wait=0`);
    t.expect(batch.reply.sent, "no `gap`", batch.gap !== true, "gap: true");
    t.equal(
      "the same key after the restart: the id",
      await again.post("five", { "Idempotency-Key": "k" }),
      id,
    );
    const next = await again.post("six");
    t.expect("a post after the restart", `an id above ${id}`, compare(next, id) > 0, next);
    await t2.hears(again, id, ["six"]);
  },
);

add(
  "a plain poll continues after a restart where it was before",
  "The long poll: without `since`",
  "started",
  async (t) => {
    const data = await t.folder();
    const [before, t1] = await t.start({ data });
    const [ann, bob] = [await t1.person(), await t1.person()];
    for (const text of ["one", "two"]) await ann.post(text);
    t.equal("two posts, a poll", await bob.plain(), "one");
    await before.stop();
    const [, t2] = await t.start({ data });
    // The same address as before, since the port can be part of the cookies' names.
    const headers = { Cookie: bob.cookies, Host: t1.site.base.host };
    const reply = await t2.ask(`get_post/${bob.segment}`, { headers });
    t.equal("two posts, a poll, SIGTERM, restart, a poll", textOf(reply), "two");
  },
);

add("a kill during posts loses no acknowledged message", KEPT, "started", async (t) => {
  const data = await t.folder();
  const [before, t1] = await t.start({ data });
  const people = await t1.people(4);
  const since = (await people[0]?.end()) ?? "0";
  const kept: string[] = [];
  let posters = people.length;
  const posting = people.map(async (person, p) => {
    for (let n = 0; ; n++) {
      const reply = await person.say(`${p}:${n}`).catch(() => undefined);
      if (reply?.status !== 200) return void posters--;
      kept.push(`${p}:${n}`);
    }
  });
  while (kept.length < 40 && posters > 0) await sleep(5);
  t.expect("posts of four people, before the kill", "200 for 40 of them", kept.length >= 40, kept.length);
  await before.stop("SIGKILL");
  await Promise.all(posting);
  const [, t2] = await t.start({ data });
  const again = people.map((person) => moved(person, t1, t2));
  const [reader] = again;
  if (!reader) return;
  // A message that was kept but not acknowledged in time can be there too.
  const heard = (await t2.hear(reader, since, kept.length + 1)).map(({ text }) => text);
  t.equal(
    `${kept.length} answered posts, SIGKILL, restart: those that are lost`,
    kept.filter((text) => !heard.includes(text)),
    [],
  );
  t.equal("those that are there twice", heard.length - new Set(heard).size, 0);
});

add("a cursor of another history gets a gap", "The long poll: gap", "started", async (t) => {
  const [, old] = await t.start();
  const ann = await old.person();
  const since = await ann.post("of another history");
  await sleep(20);
  const [, fresh] = await t.start();
  const bob = await fresh.person();
  await bob.post("of this one");
  const batch = await bob.batch(`since=${since}&wait=10`);
  t.equal(batch.reply.sent, [batch.gap, fresh.mine(batch).map(({ text }) => text)], [true, ["of this one"]]);
});

add(
  "a drain answers every poll with a retry time, and the process ends with 0 within five seconds",
  DRAIN,
  "started",
  async (t) => {
    const [server, inside] = await t.start();
    const people = await inside.people(10);
    const end = await inside.quiet(...people);
    const polls = people.flatMap((person) =>
      Array.from({ length: 10 }, (_, n) => person.batch(`since=${end}&wait=20&client=c${n}`)),
    );
    await people[0]?.ask(`chatroom/${people[0].segment}/`);
    const waiting = people[0]?.plain();
    await t.settle();
    const began = performance.now();
    const exit = server.stop();
    const batches = await Promise.all(polls);
    const retries = batches.map(({ retry }) => retry ?? -1);
    for (const { reply, messages, retry, cursor } of batches) {
      const right =
        messages.length === 0 && cursor === end && retry !== undefined && retry >= 0 && retry <= 2000;
      t.expect(
        `${reply.sent}, held, then SIGTERM`,
        'an empty batch, the same cursor, "retry" of 0 to 2,000 ms',
        right,
        reply.body,
      );
      t.expect(
        `${reply.sent}, held, then SIGTERM`,
        "Connection: close",
        reply.headers.connection === "close",
        reply.headers.connection ?? "no Connection",
      );
    }
    const spread = new Set(retries).size;
    t.expect(
      "100 held polls, then SIGTERM",
      "`retry` spread at random over two seconds",
      spread > 50 && Math.max(...retries) - Math.min(...retries) > 1000,
      `${spread} values, ${Math.min(...retries)} to ${Math.max(...retries)} ms`,
    );
    t.equal("a poll without a cursor, held, then SIGTERM", await waiting, "");
    t.equal("SIGTERM: the exit status", await exit, 0);
    const took = Math.round(performance.now() - began);
    t.expect("SIGTERM", "an end within 5 s", took < 5000, `${took} ms`);
  },
);

/** Starts a server and checks that its clock can be set. Returns a trial on it. */
async function startWithClock(t: Trial): Promise<[Started, Trial]> {
  if (!t.here.start) return t.notTried("needs --start");
  if (!t.here.clock) return t.notTried("needs --clock");
  const [server, inside] = await t.start({ clock: true });
  const ann = await inside.person();
  const since = await ann.end();
  await server.setClock(HOUR);
  await ann.post("an hour later");
  const [message] = await inside.hear(ann, since, 1);
  if ((message?.at ?? 0) < Date.now() + (HOUR / 2) * 1000)
    return t.notTried("--clock does not move this server's clock");
  return [server, inside];
}

add(
  "a wall clock that jumps back and forward delays no message and no time-out, and ids grow",
  "Words: ids only grow; The long poll: wait",
  "started",
  async (t) => {
    const [server, inside] = await startWithClock(t);
    const [ann, bob] = [await inside.person(), await inside.person()];
    const ids = [await ann.post("before")];
    for (const seconds of [-HOUR, HOUR, 0]) {
      const held = inside.hears(bob, ids.at(-1) ?? "0", [`at ${seconds}`], { held: true });
      const idle = inside.silence(ann, "wait=1");
      await t.settle();
      await server.setClock(seconds);
      const { sent, took } = (await idle).reply;
      const came = `${Math.round(took)} ms`;
      t.expect(`${sent}, then the clock goes to ${seconds} s`, "an end after 1 s", took < 5000, came);
      ids.push(await ann.post(`at ${seconds}`));
      await held;
    }
    t.equal(`ids, the clock at +1 h, -1 h, +1 h, 0, sorted`, [...ids].sort(compare), ids);
  },
);

add(
  "a plain poll ends after ten seconds, also when the wall clock jumps back and a user leaves",
  "The long poll: without `since`",
  "started",
  async (t) => {
    const [server, inside] = await startWithClock(t);
    const [ann, bob] = [await inside.person(), await inside.person()];
    await inside.quiet(ann, bob);
    t.status(await ann.ask(`chatroom/${ann.segment}/`), 200);
    const poll = ann.poll("");
    await t.settle();
    await server.setClock(-HOUR);
    await bob.logout();
    const sent = `GET ${inside.site.target(`get_post/${ann.segment}`)}, the clock jumps back, a user leaves`;
    const reply = await Promise.race([poll, sleep(14_000, undefined, { ref: false })]);
    t.expect(
      sent,
      "an end after 10 s",
      reply !== undefined && reply.took > 9500,
      reply?.took ?? "nothing in 14 s",
    );
    t.equal(sent, reply && textOf(reply), "");
  },
);
