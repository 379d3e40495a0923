/** Names: valid, invalid and equal ones. */
import { about } from "../runner.js";

const { together } = about("names", "Posting");

const WORDS = ["张伟", "a:b", "50%25", "a b?#&=+", "<b>\"'", "آن", "."];
/** Names that are also properties of objects, or false as values. */
const SPECIAL = ["__proto__", "constructor", "toString", "hasOwnProperty", "null", "0"];

together(
  "a name in any script, with URL or HTML characters or of a property works like any other",
  async (t) => {
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
  },
);

together("a name has at most 32 code points", async (t) => {
  const tag = t.name("");
  const name = "😀".repeat(32 - tag.length) + tag;
  t.status(await (await t.person(name)).ask(`chatroom/${encodeURIComponent(name)}/`), 200);
  t.refused(await t.login(`😀${name}`), 422, "bad_name");
  t.refused(await t.login("x".repeat(33)), 422, "bad_name");
});

/** Spaces, separators, control characters; zero-width, bidi and private-use characters; names that show nothing. */
const REFUSED = [
  ...["", " \t ", "a/b", "a\\b", ".", "..", "a\0b", "a\nb"],
  ...["a\u200bb", "a\u200db", "a\ufeffb", "a\u202eb", "a\u2066b", "a\ue000b"],
  ...[
    "\u2800",
    "\u3164",
    "\u115f\u1160",
    "\uffa0",
    "\u034f",
    "\ufe0f \u2800",
    "\u{1d159}",
    "\u0378",
    "\uffff",
  ],
];

together("a name with a character that is not permitted, or that shows nothing, is refused", async (t) => {
  for (const name of REFUSED) t.refused(await t.login(name), 422, "bad_name");
});

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
