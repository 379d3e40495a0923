/** Messages before an id: as JSON, and as a page. */
import { readHistory } from "../person.js";
import { about } from "../runner.js";
import { HTML } from "../site.js";

const { together, alone } = about("history", "Routes");

alone(
  "/history returns the newest messages before an id, oldest first, and whether there are older ones",
  async (t) => {
    const ann = await t.person();
    const ids: string[] = [];
    for (const text of ["1", "2", "3", "4"]) ids.push(await ann.post(text));
    const path = `history/${ann.segment}`;
    const read = async (query: string) => readHistory(await ann.ask(`${path}?${query}`));
    const all = await read(`before=${ids[3]}&limit=200`);
    const own = all.messages.flatMap(({ id, user }) => (user === ann.name && ids.includes(id) ? [id] : []));
    t.equal("GET /history before the fourth of four messages: which of them", own, ids.slice(0, 3));
    const last = await read(`before=${ids[3]}&limit=1`);
    t.equal(
      "GET /history with limit=1: the messages, and `more`",
      [last.messages.length, last.more],
      [1, true],
    );
    t.equal("GET /history with limit=1: the message", last.messages[0]?.id, all.messages.at(-1)?.id);
    const newest = await read("");
    t.equal("GET /history without fields: at most 50 messages", newest.messages.length <= 50, true);
    t.equal("GET /history before an old id", await read("before=1-0"), { messages: [], more: false });
  },
);

together("/history refuses a malformed id, a wrong limit, and a caller without a session", async (t) => {
  const ann = await t.person();
  const path = `history/${ann.segment}`;
  t.refused(await ann.ask(`${path}?before=x`), 400, "bad_cursor");
  for (const limit of ["0", "201", "-1", "x", "1.5"])
    t.refused(await ann.ask(`${path}?limit=${limit}`), 400, "bad_request");
  t.refused(await ann.ask(path, { headers: { Cookie: "" } }), 401, "no_session");
  t.refused(await ann.ask(`history/${(await t.person()).segment}`), 403, "not_you");
});

alone("the page with ?before has the messages before an id only, and ?still is the page", async (t) => {
  const ann = await t.person();
  const [early, late] = [t.name("early"), t.name("late")];
  await ann.post(early);
  const id = await ann.post(late);
  const page = (query: string) => ann.ask(`chatroom/${ann.segment}/?${query}`, { headers: HTML });
  const before = await page(`before=${id}`);
  t.page(before, 200);
  t.expect(
    before,
    "the first message and not the second",
    before.body.includes(early) && !before.body.includes(late),
  );
  t.page(await page("still"), 200);
  t.page(await page("before=x"), 400);
});
