/** Presence: /who, /leave, HEAD and notices. */
import type { Message } from "../person.js";
import { about } from "../runner.js";

const { together, alone } = about("presence", "Routes");

alone("/who lists each polling user once, in order, however many pages they have", async (t) => {
  const cat = await t.person(t.name("cat"));
  const people = [cat, await t.person(t.name("ann")), await t.person(t.name("bob"))];
  const polls = people.flatMap((person) =>
    ["a", "b"].map((client) => person.poll(`since=now&wait=5&client=${client}`)),
  );
  await t.settle();
  const { count, users } = await cat.who();
  const names = people.map(({ name }) => name);
  const listed = users.filter((user) => names.includes(user));
  t.equal("GET /who while three people poll: which of them, in which order", listed, names.sort());
  t.equal(
    "GET /who: `count` and different names",
    [count, new Set(users).size],
    [users.length, users.length],
  );
  t.equal("a poll: `present`", (await cat.batch("since=now&wait=0")).present, count);
  await cat.post("enough");
  await Promise.all(polls);
});

together("/leave and a log-out make a user absent", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const isHere = async (what: string, expected: boolean) =>
    t.equal(`GET /who after ${what}`, (await bob.who()).users.includes(ann.name), expected);
  await ann.end();
  await isHere("a poll", true);
  const reply = await ann.leave();
  t.equal(reply.sent, [reply.status, reply.body], [204, ""]);
  await isHere("/leave", false);
  await ann.end();
  await isHere("/leave and another poll", true);
  await ann.logout();
  await isHere("a log-out", false);
});

alone("/leave with a client id keeps a user present who has another page", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const heard = t.hears(ann, since, ["to the other page"], { client: "b", held: true });
  await t.settle();
  await ann.leave("a");
  t.equal("two pages, one left: GET /who", (await bob.who()).users.includes(ann.name), true);
  await bob.post("to the other page");
  await heard;
});

alone("a HEAD makes nobody present and writes no notice", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(bob);
  for (const path of ["", "who", `chatroom/${ann.segment}/`, `get_post/${ann.segment}?since=now&wait=0`])
    await ann.ask(path, { method: "HEAD" });
  t.equal("HEADs, then GET /who", (await bob.who()).users.includes(ann.name), false);
  const { messages, reply } = await bob.batch(`since=${since}&wait=0.3`);
  t.equal(`HEADs of another, then ${reply.sent}`, messages, []);
});

alone("notices are messages of kind join and leave", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  await ann.end();
  await ann.logout();
  const notices: Message[] = [];
  for (let cursor = since, tries = 0; tries < 4 && notices.length < 2; tries++) {
    const batch = await bob.batch(`since=${cursor}&wait=2`);
    notices.push(...batch.messages.filter(({ user }) => user === ann.name));
    cursor = batch.cursor;
  }
  if (notices.length === 0) return t.notTried("no notice arrived, which the contract allows");
  const kinds = notices.map(({ kind }) => kind);
  t.equal("a log-in and a log-out: the notices", kinds, ["join", "leave"]);
});
