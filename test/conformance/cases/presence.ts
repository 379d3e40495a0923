/** Presence: /who, /leave and notices. */
import { isRecord, type Message, type Person } from "../person.js";
import { about } from "../runner.js";
import type { Trial } from "../trial.js";

const WHO = "Routes: GET /who";
const { cases, add } = about("presence");
export const presence = cases;

async function who(t: Trial, person: Person): Promise<{ count: number; users: string[] }> {
  const reply = await person.ask("who");
  let value: unknown;
  try {
    value = JSON.parse(reply.body);
  } catch {
    // The check below reports it.
  }
  if (isRecord(value) && Number.isInteger(value.count) && Array.isArray(value.users)) {
    return value as { count: number; users: string[] };
  }
  t.expect(reply, '200 {"count": N, "users": [...]}', false);
  return { count: 0, users: [] };
}

add("/who lists each polling user once, in order, however many pages they have", WHO, "alone", async (t) => {
  const people = [
    await t.person(t.name("cat")),
    await t.person(t.name("ann")),
    await t.person(t.name("bob")),
  ];
  const polls = people.flatMap((person) =>
    ["a", "b"].map((client) => person.poll(`since=now&wait=5&client=${client}`)),
  );
  await t.settle();
  const [cat] = people;
  if (!cat) return;
  const { count, users } = await who(t, cat);
  const names = people.map(({ name }) => name);
  t.equal(
    "GET /who while three people poll: which of them, in which order",
    users.filter((user) => names.includes(user)),
    [...names].sort(),
  );
  t.equal("GET /who: `count`", count, users.length);
  t.equal("GET /who: duplicate names", users.length - new Set(users).size, 0);
  const batch = await cat.batch("since=now&wait=0");
  t.equal(`${batch.reply.sent}: \`present\``, batch.present, count);
  await cat.post("enough");
  await Promise.all(polls);
});

add("/leave makes a user absent", "Routes: POST /leave", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await ann.end();
  t.equal("GET /who after a poll", (await who(t, bob)).users.includes(ann.name), true);
  const reply = await ann.ask(`leave/${ann.segment}`, { method: "POST" });
  t.equal(reply.sent, [reply.status, reply.body], [204, ""]);
  t.equal("GET /who after /leave", (await who(t, bob)).users.includes(ann.name), false);
  await ann.end();
  t.equal("GET /who after /leave and another poll", (await who(t, bob)).users.includes(ann.name), true);
});

add(
  "/leave with a client id keeps a user present who has another page",
  "Routes: POST /leave",
  "alone",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    const since = await t.quiet(ann, bob);
    const heard = t.hears(ann, since, ["to the other page"], { client: "b", held: true });
    await t.settle();
    await ann.ask(`leave/${ann.segment}?client=a`, { method: "POST" });
    t.equal("two pages, one left: GET /who", (await who(t, bob)).users.includes(ann.name), true);
    await bob.post("to the other page");
    await heard;
  },
);

add("a log-out makes a user absent", "Routes: POST /logout", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await ann.end();
  await ann.logout();
  t.equal("GET /who after a log-out", (await who(t, bob)).users.includes(ann.name), false);
});

add("notices are messages of kind join and leave", "Words: message", "alone", async (t) => {
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
  t.equal(
    "a log-in and a log-out: the notices",
    notices.map(({ kind }) => kind),
    ["join", "leave"],
  );
});
