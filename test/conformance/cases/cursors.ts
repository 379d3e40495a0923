/** Cursors: valid, malformed, too old, too new, and of another history. */
import { about } from "../runner.js";

const { together } = about("cursors", "The long poll");

together("a broken cursor is refused", async (t) => {
  const ann = await t.person();
  const broken =
    "12 12- -12 - 1-2-3 -1-2 __proto__ null 1.5-0 1e3-0 0x1-0 %201-2 1-2%0A 1-2%00 %D9%A1-%D9%A2";
  for (const since of ["", ...broken.split(" ")])
    t.refused(await ann.poll(`since=${since}&wait=0`), 400, "bad_cursor");
});

together("a cursor may be percent-encoded", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  await ann.post("encoded");
  const all = [...since].map((sign) => `%${sign.charCodeAt(0).toString(16)}`).join("");
  for (const spelling of [since.replace("-", "%2D"), since.replace("-", "%2d"), all])
    await t.hears(ann, spelling, ["encoded"]);
});

together("a truncated cursor is refused or gets a gap, and never counts as another cursor", async (t) => {
  const ann = await t.person();
  const id = await ann.post("whole");
  const dash = id.indexOf("-");
  t.refused(await ann.poll(`since=${id.slice(0, dash + 1)}&wait=0`), 400, "bad_cursor");
  t.refused(await ann.poll(`since=${id.slice(0, dash)}&wait=0`), 400, "bad_cursor");
  t.gap(await ann.batch(`since=${id.slice(0, dash - 2)}-0&wait=0`), true);
});

for (const [what, since, gap] of [
  ["beyond the end gets a gap", "99999999999999-0", true],
  ["as high as numbers go gets a gap", "18446744073709551615-18446744073709551615", true],
  ["older than all that is kept gets a gap", "1-0", true],
  ["of 0 gets no gap", "0", false],
] as const) {
  together(`a cursor ${what}, and at once the backlog and a valid cursor`, async (t) => {
    const ann = await t.person();
    await ann.post("kept");
    const batch = await ann.batch(`since=${since}&wait=20`);
    t.gap(batch, gap);
    t.expect(batch.reply, "what is still kept", batch.messages.length > 0);
    t.took(batch.reply, 0, 8000);
    t.gap(await ann.batch(`since=${batch.cursor}&wait=0`), false);
  });
}

together("every id in a batch is a valid cursor", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const texts = ["1", "2", "3", "4"];
  for (const text of texts) await ann.post(text);
  const heard = await t.hears(ann, since, texts);
  for (const [at, { id }] of heard.entries()) await t.hears(ann, id, texts.slice(at + 1));
});
