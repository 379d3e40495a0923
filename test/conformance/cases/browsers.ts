/** Browsers: pages under any mount path, typed text shown as text, and no cross-site posts. */
import { about } from "../runner.js";
import { FORM, HTML } from "../site.js";

const { cases, add } = about("browsers");
export const browsers = cases;

add("a cross-site post is refused", "Errors: foreign_origin", "together", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  const { host } = t.site.base;
  for (const headers of [
    { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" },
    { "Sec-Fetch-Site": "cross-site" },
    { Origin: "https://evil.example" },
    { Origin: `http://${host}.evil.example` },
    { Origin: `http://evil-${host}` },
    { Origin: "null" },
  ]) {
    for (const [path, body] of [
      [`put_post/${ann.name}`, "message=forged"],
      [`leave/${ann.name}`, ""],
      ["login", `name=${t.name()}`],
      ["logout", ""],
    ] as const) {
      t.refused(
        await ann.ask(path, { method: "POST", headers: { ...FORM, ...headers }, body }),
        403,
        "foreign_origin",
      );
    }
  }
  t.equal("posts from another site: what was heard", await t.hear(ann, since, 0), []);
  for (const headers of [
    { Origin: t.site.base.origin },
    { Origin: t.site.base.origin, "Sec-Fetch-Site": "same-origin" },
  ]) {
    t.status(await ann.say("from our own page", headers), 200);
  }
});

add(
  "the room page shows the newest messages as text and works under any mount path",
  "Routes: GET /chatroom; Every link is relative",
  "together",
  async (t) => {
    const ann = await t.person();
    const mark = t.name("mark");
    await ann.post(`<script>${mark}</script> & "more"`);
    const page = await ann.ask(`chatroom/${ann.name}/`);
    t.expect(page, "the message, in the page", page.body.includes(mark));
    t.expect(page, "the message as text, not as a script", !page.body.includes(`<script>${mark}`));
    for (const { sent, body } of [page, await t.ask("login")]) {
      const links = [
        ...body.matchAll(/<(?:script|link|form|img|base)\b[^>]*?\b(?:src|href|action)=["']?([^"'\s>]+)/gi),
      ].map(([, to]) => to ?? "");
      t.equal(
        `${sent}: links that are not relative`,
        links.filter((to) => /^(\/|https?:)/i.test(to)),
        [],
      );
    }
  },
);

add(
  "a browser with a refused name gets the form again with the typed name as text",
  "Routes: POST /login",
  "together",
  async (t) => {
    const ann = await t.person();
    await ann.end();
    for (const [name, status] of [
      [ann.name, 409],
      [`"><script>${ann.name}/`, 422],
    ] as const) {
      const reply = await t.login(name, HTML);
      t.expect(
        reply,
        `${status} and a page with the form`,
        reply.status === status &&
          /^text\/html/.test(reply.headers["content-type"] ?? "") &&
          /name=["']?name\b/.test(reply.body),
      );
      t.expect(reply, "nothing typed that acts as HTML", !reply.body.includes(`<script>${ann.name}`));
    }
  },
);
