/** Cursors: valid, malformed, too old, too new, and of another history. */
import { about } from "../runner.js";

const { cases, add } = about("cursors");
export const cursors = cases;

const BROKEN: readonly [what: string, since: string][] = [
  ["an empty one", ""],
  ["one number", "12"],
  ["a number and a dash", "12-"],
  ["a dash and a number", "-12"],
  ["a dash", "-"],
  ["three numbers", "1-2-3"],
  ["a negative one", "-1-2"],
  ["words", "__proto__"],
  ["null", "null"],
  ["a fraction", "1.5-0"],
  ["an exponent", "1e3-0"],
  ["a hexadecimal one", "0x1-0"],
  ["one with a space", "%201-2"],
  ["one with a line end", "1-2%0A"],
  ["one with a NUL", "1-2%00"],
  ["one in Arabic digits", "%D9%A1-%D9%A2"],
];

for (const [what, since] of BROKEN) {
  add(`a broken cursor is refused: ${what}`, "Words: id; Errors: bad_cursor", "together", async (t) => {
    t.refused(await (await t.person()).poll(`since=${since}&wait=0`), 400, "bad_cursor");
  });
}

add("a cursor may be percent-encoded", "The long poll: since", "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("encoded");
  const all = [...since].map((sign) => `%${sign.charCodeAt(0).toString(16)}`).join("");
  for (const spelling of [since.replace("-", "%2D"), since.replace("-", "%2d"), all])
    await t.hears(ann, spelling, ["encoded"]);
});

add(
  "a truncated cursor is refused or gets a gap, and never counts as another cursor",
  "The long poll: gap; Errors: bad_cursor",
  "together",
  async (t) => {
    const ann = await t.person();
    const id = await ann.post("whole");
    const dash = id.indexOf("-");
    t.refused(await ann.poll(`since=${id.slice(0, dash + 1)}&wait=0`), 400, "bad_cursor");
    t.refused(await ann.poll(`since=${id.slice(0, dash)}&wait=0`), 400, "bad_cursor");
    const old = await ann.batch(`since=${id.slice(0, dash - 2)}-0&wait=0`);
    t.expect(old.reply.sent, '"gap": true', old.gap === true, old.reply.body);
  },
);

for (const [what, since] of [
  ["beyond the end", "99999999999999-0"],
  ["as far beyond the end as a number goes", "18446744073709551615-18446744073709551615"],
  ["older than all that is kept", "1-0"],
] as const) {
  add(
    `a cursor ${what} gets a gap at once, with the backlog and a valid cursor`,
    "The long poll: gap",
    "together",
    async (t) => {
      const ann = await t.person();
      await ann.post("kept");
      const batch = await ann.batch(`since=${since}&wait=8`);
      t.expect(batch.reply.sent, '"gap": true', batch.gap === true, batch.reply.body);
      t.expect(
        batch.reply.sent,
        "what is still kept, at once",
        batch.messages.length > 0 && batch.reply.took < 6000,
        batch.reply.body,
      );
      const next = await ann.batch(`since=${batch.cursor}&wait=0`);
      t.expect(next.reply.sent, "no second gap", next.gap !== true, next.reply.body);
    },
  );
}

add(
  "since=0 returns everything in the backlog without a gap",
  "The long poll: since",
  "together",
  async (t) => {
    const ann = await t.person();
    await ann.post("kept");
    const batch = await ann.batch("since=0&wait=20");
    t.expect(batch.reply.sent, "no `gap`", batch.gap === undefined, batch.reply.body);
    t.expect(
      batch.reply.sent,
      "messages, at once",
      batch.messages.length > 0 && batch.reply.took < 8000,
      `${batch.messages.length} messages after ${Math.round(batch.reply.took)} ms`,
    );
  },
);

add("every id in a batch is a valid cursor", "Words: cursor", "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const texts = ["1", "2", "3", "4"];
  for (const text of texts) await ann.post(text);
  const heard = await t.hears(ann, since, texts);
  for (const [at, { id }] of heard.entries()) await t.hears(ann, id, texts.slice(at + 1));
});
