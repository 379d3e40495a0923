/** Names: valid, invalid and equal ones. */
import { about } from "../runner.js";

const { cases, together } = about("names", "Posting");
export const names = cases;

together("a name in any script and with URL or HTML characters works like any other", async (t) => {
  for (const word of ["张伟", "a:b", "50%25", "a b?#&=+", "<b>\"'", "آن", "."]) {
    const name = t.name(word);
    const ann = await t.person(name);
    const since = await ann.end();
    await ann.post("hello");
    const [message] = await t.hears(ann, since, ["hello"]);
    t.equal(`a post by ${name}: the user in the batch`, message?.user, name);
    t.equal(`GET /who: ${name} among the users`, (await ann.who()).users.includes(name), true);
    t.status(await ann.ask(`chatroom/${ann.segment}/`), 200);
  }
});

for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "null", "0"]) {
  together(`the name ${name} works like any other`, async (t) => {
    const ann = await t.person(name);
    const since = await ann.end();
    await ann.post("hello", { "Idempotency-Key": t.name("key") });
    await t.hears(ann, since, ["hello"], { client: "constructor" });
    t.refused(await t.login(name), 409, "name_taken");
  });
}

together("a name has at most 32 code points", async (t) => {
  const tag = t.name("");
  const name = "😀".repeat(32 - tag.length) + tag;
  t.status(await (await t.person(name)).ask(`chatroom/${encodeURIComponent(name)}/`), 200);
  t.refused(await t.login(`😀${name}`), 422, "bad_name");
  t.refused(await t.login("x".repeat(33)), 422, "bad_name");
});

for (const [what, name] of [
  ["nothing", ""],
  ["spaces only", " \t "],
  ["a slash", "a/b"],
  ["a backslash", "a\\b"],
  ["one dot", "."],
  ["two dots", ".."],
  ["a NUL", "a\0b"],
  ["a line end", "a\nb"],
  ["a zero-width space", "a\u200bb"],
  ["a zero-width joiner", "a\u200db"],
  ["a byte order mark", "a\ufeffb"],
  ["a bidi override", "a\u202eb"],
  ["a bidi isolate", "a\u2066b"],
  ["a private-use character", "a\ue000b"],
  ["a blank braille pattern only", "\u2800"],
  ["a Hangul filler only", "\u3164"],
  ["two Hangul fillers only", "\u115f\u1160"],
  ["a halfwidth filler only", "\uffa0"],
  ["a joiner only", "\u034f"],
  ["a variation selector and a blank only", "\ufe0f \u2800"],
  ["a musical null notehead only", "\u{1d159}"],
  ["an unassigned character only", "\u0378"],
  ["a noncharacter only", "\uffff"],
]) {
  together(`a name of or with ${what} is refused`, async (t) => {
    t.refused(await t.login(name ?? ""), 422, "bad_name");
  });
}

together("a name is trimmed and normalised to NFC", async (t) => {
  const tag = t.name("");
  const reply = await t.login(`  Ame\u0301lie${tag} `);
  const segment = encodeURIComponent(`Am\u00e9lie${tag}`);
  const right = reply.status === 303 && (reply.headers.location ?? "").endsWith(`chatroom/${segment}/`);
  t.expect(reply, `303 to chatroom/${segment}/`, right);
});

together("two names are the same if NFKC and lower-casing make them equal", async (t) => {
  const tag = t.name("");
  const ann = await t.person(`Åse ﬁ${tag}`);
  await ann.end();
  const others = ["åse ﬁ", "ÅSE FI", "A\u030ase fi", "Ａ\u030aｓｅ fi", "Å\u017fe fi", "Åse \u00a0\u3000 fi"];
  for (const other of others) {
    t.refused(await t.login(other + tag), 409, "name_taken");
    t.status(await ann.ask(`get_post/${encodeURIComponent(other + tag)}?since=now&wait=0`), 200);
  }
  t.status(await t.login(`Ase fi${tag}`), 303);
});

/** Characters that show nothing: fillers, selectors, notations, noncharacters, unassigned and replacement characters. */
const INVISIBLE =
  "\u2800\u034f\ufe0f\u3164\u115f\u1160\uffa0\u{1d159}\u{13441}\u{e0100}\uffff\ufdd0\u{1fffe}\u0378\u17b5\u180b\ufffc";

together("two names are the same if removing what shows nothing makes them equal", async (t) => {
  const tag = t.name("");
  const name = `josé 가 ${tag}`;
  await (await t.person(name)).end();
  for (const sign of INVISIBLE) {
    // In front, inside a composed letter, inside a syllable, in white space, and behind.
    const other = `${sign}jose${sign}\u0301 \u1100${sign}\u1161 ${sign} ${tag}${sign}`;
    t.refused(await t.login(other), 409, "name_taken");
  }
});
