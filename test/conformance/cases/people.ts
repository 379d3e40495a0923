/** People: sessions, names, and who is present. */
import type { Message, Person } from "../person.js";
import { about } from "../runner.js";
import { cookieOf, FORM, JSON_TYPE } from "../site.js";

const { together, hears } = about("sessions", "Routes");

together("a log-in redirects to the user's room and sets a cookie with HttpOnly and SameSite", async (t) => {
  const name = t.name();
  const body = JSON.stringify({ name: `${name}j` });
  const json = await t.ask("login", { method: "POST", headers: JSON_TYPE, body });
  t.redirects(json, "login", 303, `chatroom/${name}j/`);
  const reply = await t.login(name);
  t.redirects(reply, "login", 303, `chatroom/${name}/`);
  const [, ...attributes] = (reply.headers["set-cookie"]?.[0] ?? "").toLowerCase().split(/ *; */);
  t.expect(reply, "a cookie with HttpOnly", attributes.includes("httponly"));
  t.expect(reply, "a cookie with SameSite=Lax", attributes.includes("samesite=lax"));
  const isSecure = attributes.includes("secure") === (t.site.base.protocol === "https:");
  t.expect(reply, "Secure if, and only if, this is https", isSecure);
  const path = attributes.find((part) => part.startsWith("path="))?.slice(5) ?? "";
  const isForChat = t.site.base.pathname.toLowerCase().startsWith(path);
  t.expect(reply, "a cookie for the whole chat, under its mount", isForChat);
  t.status(await t.back({ name, cookie: cookieOf(reply) }).poll("since=now&wait=0"), 200);
});

together("/ and the room page redirect to one's own room, or to the log-in page", async (t, ann, bob) => {
  const room = `chatroom/${ann.name}/`;
  t.status(await ann.ask(room), 200);
  t.redirects(await ann.ask(""), "", 303, room);
  t.redirects(await t.ask(""), "", 303, "login");
  t.redirects(await t.ask(room), room, 303, "login");
  t.redirects(await bob.ask(room), room, 303, `chatroom/${bob.name}/`);
  t.redirects(await ann.ask(room.slice(0, -1)), room.slice(0, -1), 308, room);
});

together("a poll, a post or a leave without a valid cookie is 401", async (t, ann) => {
  for (const cookie of ["", ann.cookie.replace(/=.*/, "="), ann.cookie.slice(0, -4)]) {
    const eve = t.back({ name: ann.name, cookie });
    for (const reply of [await eve.poll("since=now&wait=0"), await eve.poll(""), await eve.say("x")])
      t.refused(reply, 401, "no_session");
    t.refused(await eve.leave(), 401, "no_session");
  }
});

hears("a poll, a post or a leave as another user is 403", [], async (t, bob, ann) => {
  const eve = t.back({ name: bob.name, cookie: ann.cookie });
  const post = { method: "POST", headers: FORM, body: "since=0&wait=0" };
  for (const reply of [await eve.poll("since=0&wait=0"), await eve.poll(""), await eve.say("forged")])
    t.refused(reply, 403, "not_you");
  t.refused(await eve.poll("", post), 403, "not_you");
  t.status(await eve.poll("since=0&wait=0", { method: "HEAD" }), 403);
  t.refused(await eve.leave(), 403, "not_you");
});

together("the name of a present user is taken, and is free at once after a log-out", async (t, ann) => {
  await ann.end();
  t.refused(await t.login(ann.name), 409, "name_taken");
  const again = await t.login(ann.name, { Cookie: ann.cookie });
  t.expect(again, "303: one's own name is not taken", again.status === 303);
  t.refused(await ann.poll("since=now&wait=0"), 401, "no_session");
  const newer = t.back({ name: ann.name, cookie: cookieOf(again) });
  t.refused(await t.login(ann.name, { Cookie: ann.cookie }), 409, "name_taken");
  t.redirects(await newer.logout(), "logout", 303, "login");
  const next = await t.person(ann.name);
  t.refused(await t.login(ann.name, { Cookie: newer.cookie }), 409, "name_taken");
  t.status(await next.poll("since=now&wait=0"), 200);
});

together("a log-out clears the cookie and ends the session", async (t, ann) => {
  const poll = ann.poll(`since=${await ann.end()}&wait=20`);
  await t.settle();
  const reply = await ann.logout();
  const cookie = reply.headers["set-cookie"]?.[0] ?? "";
  const isCleared = /max-age=0|expires=[^;]*(1970|1969)/i.test(cookie);
  const [label] = ann.cookie.split("=");
  t.expect(reply, "a Set-Cookie that ends the cookie", cookie.startsWith(`${label}=`) && isCleared);
  t.refused(await ann.poll("since=now&wait=0"), 401, "no_session");
  t.refused(await ann.say("as a ghost"), 401, "no_session");
  // The contract does not define the reply to a poll held at the log-out, but it must not receive later messages.
  const bob = await t.person();
  await bob.post("not for ghosts");
  const held = await poll;
  t.expect(held, "no message posted after the log-out", !held.body.includes("not for ghosts"));
});

const names = about("names", "Posting").together;

const WORDS = ["张伟", "a:b", "50%25", "a b?#&=+", "<b>\"'", "آن", "."];
/** Names that are also properties of objects, or false as values. */
const SPECIAL = ["__proto__", "constructor", "toString", "hasOwnProperty", "null", "0"];

names("a name in any script, or with URL or HTML characters, works like any other", async (t) => {
  for (const name of [...WORDS.map((word) => t.name(word)), ...SPECIAL]) {
    const ann = await t.person(name);
    const since = await ann.end();
    await ann.post("hello", { "Idempotency-Key": t.name("key") });
    const [message] = await t.hears(ann, since, ["hello"], { client: "constructor" });
    t.equal(`a post by ${name}: the user in the batch`, message?.user, name);
    t.equal(`GET /who: ${name} among the users`, (await ann.who()).users.includes(name), true);
    t.status(await ann.ask(`chatroom/${ann.segment}/`), 200);
    t.refused(await t.login(name), 409, "name_taken");
  }
});

/** Spaces, separators, control characters; zero-width, bidi and private-use characters; names that show nothing. */
const WITHIN = "\0\n\r\x7f\x85\u200b\u200d\ufeff\u202e\u2066\u061c\u2028\u2029\ue000\u{e0041}\u{f0000}/\\";
const REFUSED = [
  ...["", " \t ", ".", "..", "x".repeat(33), ...[...WITHIN].map((sign) => `a${sign}b`)],
  ..."\u2800|\u3164|\u115f\u1160|\uffa0|\u034f|\ufe0f \u2800|\u{1d159}|\u0378|\uffff".split("|"),
];

names("a name has at most 32 code points, only permitted ones, and shows something", async (t) => {
  const tag = t.name("");
  const name = "😀".repeat(32 - tag.length) + tag;
  t.status(await (await t.person(name)).ask(`chatroom/${encodeURIComponent(name)}/`), 200);
  for (const refused of [`😀${name}`, ...REFUSED]) t.refused(await t.login(refused), 422, "bad_name");
});

names(
  "a name is trimmed and in NFC, and another one with the same NFKC and lower case is taken",
  async (t) => {
    const tag = t.name("");
    const reply = await t.login(`  Ame\u0301lie${tag} `);
    t.redirects(reply, "login", 303, `chatroom/${encodeURIComponent(`Am\u00e9lie${tag}`)}/`);
    const ann = await t.person(`Åse ﬁ${tag}`);
    await ann.end();
    const others = [
      "åse ﬁ",
      "ÅSE FI",
      "A\u030ase fi",
      "Ａ\u030aｓｅ fi",
      "Å\u017fe fi",
      "Åse \u00a0\u3000 fi",
    ];
    for (const other of others) {
      t.refused(await t.login(other + tag), 409, "name_taken");
      t.status(await ann.ask(`get_post/${encodeURIComponent(other + tag)}?since=now&wait=0`), 200);
    }
    t.status(await t.login(`Ase fi${tag}`), 303);
  },
);

/** Characters that show nothing: fillers, selectors, notations, noncharacters, unassigned and replacement characters. */
const INVISIBLE =
  "\u2800\u034f\ufe0f\u3164\u115f\u1160\uffa0\u{1d159}\u{13441}\u{e0100}\uffff\ufdd0\u{1fffe}\u0378\u17b5\u180b\ufffc";

names("two names are the same if removing what shows nothing makes them equal", async (t) => {
  const tag = t.name("");
  await (await t.person(`josé 가 ${tag}`)).end();
  for (const sign of INVISIBLE) {
    // In front, inside a composed letter, inside a syllable, in white space, and behind.
    const other = `${sign}jose${sign}\u0301 \u1100${sign}\u1161 ${sign} ${tag}${sign}`;
    t.refused(await t.login(other), 409, "name_taken");
  }
});

const presence = about("presence", "Routes");

presence.alone("/who lists each polling user once, in order, however many pages they have", async (t) => {
  const people = await Promise.all(["cat", "ann", "bob"].map((word) => t.person(t.name(word))));
  const [cat] = people as [Person];
  const pages = people.flatMap((person) => [person, person]);
  const polls = pages.map((person, n) => person.poll(`since=now&wait=5&client=${n}`));
  await t.settle();
  const { count, users } = await cat.who();
  const names = people.map(({ name }) => name);
  const listed = users.filter((user) => names.includes(user));
  t.equal("GET /who while three people poll: which of them, in which order", listed, names.sort());
  t.equal("GET /who: `count`", count, users.length);
  t.equal("GET /who: different names", new Set(users).size, users.length);
  t.equal("a poll: `present`", (await cat.batch("since=now&wait=0")).present, count);
  await cat.post("enough");
  await Promise.all(polls);
});

presence.together("/leave and a log-out make a user absent", async (t, ann, bob) => {
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

presence.alone("/leave with a client id keeps a user present who has another page", async (t, ann, bob) => {
  const since = await t.quiet(ann, bob);
  const heard = t.hears(ann, since, ["to the other page"], { client: "b", held: true });
  await t.settle();
  await ann.leave("a");
  t.equal("two pages, one left: GET /who", (await bob.who()).users.includes(ann.name), true);
  await bob.post("to the other page");
  await heard;
});

presence.alone(
  "a HEAD makes nobody present, writes no notice and supersedes no poll",
  async (t, ann, bob) => {
    const since = await t.quiet(bob);
    const held = bob.batch(`since=${since}&wait=12&client=a`);
    await t.settle();
    for (const path of ["", "who", `chatroom/${ann.segment}/`, `get_post/${ann.segment}?since=now&wait=0`])
      await ann.ask(path, { method: "HEAD" });
    await bob.poll(`since=${since}&wait=5&client=a`, { method: "HEAD" });
    t.equal("HEADs, then GET /who", (await bob.who()).users.includes(ann.name), false);
    await bob.post("to the poll");
    const { messages, reply } = await held;
    t.equal(`${reply.sent}, held, HEADs, a post`, messages.map(({ text }) => text).join(), "to the poll");
  },
);

presence.alone("notices are messages of kind join and leave", async (t, ann, bob) => {
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
