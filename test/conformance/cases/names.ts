/** Names: valid, invalid and equal ones. */
import { about } from "../runner.js";

const RULE = "Posting: A name is 1 to 32 characters";
const { cases, add } = about("names");
export const names = cases;

add(
  "a name in any script and with URL or HTML characters works like any other",
  RULE,
  "together",
  async (t) => {
    const tag = t.name("");
    for (const name of [
      `张伟${tag}`,
      `a:b${tag}`,
      `50%25${tag}`,
      `a b?#&=+${tag}`,
      `<b>"'${tag}`,
      `آن${tag}`,
      `.${tag}`,
    ]) {
      const ann = await t.person(name);
      const since = await ann.end();
      await ann.post("hello");
      const [message] = await t.hears(ann, since, ["hello"]);
      t.equal(`a post by ${name}: the user in the batch`, message?.user, name);
      const who = await ann.ask("who");
      t.expect(who, `200 with ${name} among the users`, who.body.includes(JSON.stringify(name)));
      t.status(await ann.ask(`chatroom/${ann.segment}/`), 200);
    }
  },
);

for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "null", "0"]) {
  add(`the name ${name} works like any other`, RULE, "together", async (t) => {
    const ann = await t.person(name);
    const since = await ann.end();
    await ann.post("hello", { "Idempotency-Key": t.name("key") });
    await t.hears(ann, since, ["hello"], { client: "constructor" });
    t.refused(await t.login(name), 409, "name_taken");
  });
}

add("a name has at most 32 code points", RULE, "together", async (t) => {
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
  ["a noncharacter only", "\uffff"],
] as const) {
  add(`a name of or with ${what} is refused`, `${RULE}; Errors: bad_name`, "together", async (t) => {
    t.refused(await t.login(name), 422, "bad_name");
  });
}

add("a name is trimmed and normalised to NFC", RULE, "together", async (t) => {
  const tag = t.name("");
  const reply = await t.login(`  Ame\u0301lie${tag} `);
  const segment = encodeURIComponent(`Am\u00e9lie${tag}`);
  t.expect(
    reply,
    `303 to chatroom/${segment}/`,
    reply.status === 303 && (reply.headers.location ?? "").endsWith(`chatroom/${segment}/`),
  );
});

add(
  "two names are the same if NFKC, lower-casing and removing invisible characters make them equal",
  RULE,
  "together",
  async (t) => {
    const tag = t.name("");
    const ann = await t.person(`Åse ﬁ${tag}`);
    await ann.end();
    for (const other of [
      `åse ﬁ${tag}`,
      `ÅSE FI${tag}`,
      `A\u030ase fi${tag}`,
      `Ａ\u030aｓｅ fi${tag}`,
      `Å\u017fe fi${tag}`,
      `Åse \u00a0 fi${tag}`,
      `A\u034f\u030ase fi${tag}`,
      `Åse fi${tag}\u2800`,
    ]) {
      t.refused(await t.login(other), 409, "name_taken");
    }
    t.status(await t.login(`Ase fi${tag}`), 303);
  },
);
