/** Browsers: pages under any mount path, typed text shown as text, and cross-site requests. */
import { about } from "../runner.js";
import { HTML } from "../site.js";

const { together, alone } = about("browsers", "Errors");

/** The headers of a request from another site. HOST is the server's own host. */
const FOREIGN: readonly Readonly<Record<string, string>>[] = [
  { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" },
  { "Sec-Fetch-Site": "cross-site" },
  { "Sec-Fetch-Site": "same-site" },
  { "Sec-Fetch-Site": "unknown" },
  { "Sec-Fetch-Site": "same-origin, same-origin" },
  { "Sec-Fetch-Site": "cross-site", Origin: "http://HOST" },
  { Origin: "https://evil.example" },
  { Origin: "http://HOST.evil.example" },
  { Origin: "http://HOST@evil.example" },
  { Origin: "http://evil-HOST" },
  { Origin: "HOST" },
  { Origin: "ftp://HOST" },
  { Origin: "http://127.0.0.1:1" },
  { Origin: "null" },
];

together("a cross-site post is refused on every route", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  for (const one of FOREIGN) {
    const text = JSON.stringify(one).replaceAll("HOST", t.site.base.host);
    const headers = JSON.parse(text) as Record<string, string>;
    for (const [path, body] of [
      [`put_post/${ann.name}`, "message=forged"],
      [`get_post/${ann.name}?since=now&wait=0`, ""],
      [`leave/${ann.name}`, ""],
      ["login", `name=${t.name()}`],
      ["logout", ""],
    ] as const)
      t.refused(await ann.send(path, body, headers), 403, "foreign_origin");
  }
  t.equal("posts from another site: what was heard", await t.hear(ann, since, 0), []);
  for (const headers of [{}, { "Sec-Fetch-Site": "same-origin" }, { "Sec-Fetch-Site": "none" }])
    t.status(await ann.say("from our own page", { Origin: t.site.base.origin, ...headers }), 200);
});

alone("a cross-site poll is refused and moves no cursor, and a link to the room opens it", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await bob.post("one");
  for (const site of ["cross-site", "same-site"]) {
    const headers = { "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate" };
    for (const query of ["", "since=0&wait=0", "since=0&wait=0&client=a"]) {
      t.page(await ann.poll(query, { headers: { ...headers, ...HTML } }), 403);
      const reply = await ann.poll(query, { headers });
      t.refused(reply, 403, "foreign_origin");
      t.equal(`${reply.sent}: Set-Cookie`, reply.headers["set-cookie"], undefined);
    }
  }
  t.equal("GET /who after them", (await bob.who()).users.includes(ann.name), false);
  t.equal("a post, cross-site polls, a poll", await ann.plain(), "one");
  t.status(await ann.ask(`chatroom/${ann.name}/`, { headers: { "Sec-Fetch-Site": "cross-site" } }), 200);
});

together("the room page shows the newest messages as text and works under any mount path", async (t) => {
  const ann = await t.person();
  const mark = t.name("mark");
  await ann.post(`<script>${mark}</script> & "more"`);
  const page = await ann.ask(`chatroom/${ann.name}/`);
  t.expect(page, "the message, in the page", page.body.includes(mark));
  t.expect(page, "the message as text, not as a script", !page.body.includes(`<script>${mark}`));
  const link = /<(?:script|link|form|img|base)\b[^>]*?\b(?:src|href|action)=["']?([^"'\s>]+)/gi;
  const error = await t.ask("no/such/page", { headers: HTML });
  for (const { sent, body } of [page, await t.ask("login"), error]) {
    const links = [...body.matchAll(link)].map(([, to]) => to ?? "");
    const absolute = links.filter((to) => /^(\/|https?:)/i.test(to));
    t.equal(`${sent}: links that are not relative`, absolute, []);
  }
});

together("a browser with a refused name gets the form again with the typed name as text", async (t) => {
  const ann = await t.person();
  await ann.end();
  for (const [name, status] of [
    [ann.name, 409],
    [`"><script>${ann.name}/`, 422],
  ] as const) {
    const reply = await t.login(name, HTML);
    t.page(reply, status);
    t.expect(reply, "the form", /name=["']?name\b/.test(reply.body));
    t.expect(reply, "nothing typed that acts as HTML", !reply.body.includes(`<script>${ann.name}`));
  }
});
