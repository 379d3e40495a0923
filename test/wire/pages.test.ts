/** Pages and their forms, in every browser: content, security headers, and requests from other sites. */
import { expect, test, vi } from "vitest";
import { start, startRoom } from "./chat.js";
import { ask, code, HOST, HTML, login, Person } from "./person.js";

test("the log-in page shows the current session with a link to its room, also after a refused name", async () => {
  const { url } = await start();
  const ann = await Person.login(url, "A&n?");
  const told =
    '<p>You are logged in as <bdi>A&#38;n?</bdi>. <a href="chatroom/A%26n%3F/">Back to the room</a></p>';
  expect((await ann.ask("login")).body).toContain(told);
  expect((await login(url, "a/b", { ...HTML, Cookie: ann.cookie })).body).toContain(told);
  const chinese = await ann.ask("login", { headers: { "Accept-Language": "zh" } });
  expect(chinese.body).toContain("你已以“<bdi>A&#38;n?</bdi>”");
  await ann.logout();
  for (const Cookie of ["", "holdline=x", ann.cookie])
    expect((await ask(`${url}/login`, { headers: { Cookie } })).body).not.toContain("You are logged in");
});

test("every page has the title, the security headers and nothing that they block", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { url } = await start({ loginRate: 0.7, title: "Tea & <talk>" });
  const ann = await Person.login(url, "ann");
  await ann.post(`"><img src=x onerror=alert(1)><style>*{}</style> javascript:alert(1) http://a/"onclick=x`);
  const pages = [
    await ask(`${url}/login`),
    await ann.ask("chatroom/ann/"),
    await ann.ask("no/such/page", { headers: HTML }),
    await ann.ask("login", { method: "DELETE", headers: HTML }),
    await ann.ask("get_post/bob?since=0", { headers: HTML }),
    await ann.say("", HTML),
    await ann.say("x", { ...HTML, Origin: "null" }),
    await ask(`${url}/get_post/ann`, { headers: HTML }),
    await ask(`${url}/chatroom/%zz`, { headers: HTML }),
    await login(url, 'a/"><script>alert(1)</script>', HTML),
    await login(url, "bob", HTML),
  ];
  expect(pages.map((page) => page.status)).toEqual([200, 200, 404, 405, 403, 422, 403, 401, 400, 422, 429]);
  for (const { headers, body } of pages) {
    expect(body).toMatch(/<title>(\d+ · )?Tea &#38; &#60;talk&#62;<\/title>/);
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
    });
    const policy = `${headers["content-security-policy"]}`;
    const rules = ["default-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"];
    for (const rule of rules) expect(policy).toContain(rule);
    expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
    // Scripts are files, data is JSON, and no attribute holds a style or a handler.
    for (const [script] of body.matchAll(/<script[^>]*>/gi))
      expect(script).toMatch(/ src="| type="application\/json"/);
    expect(body).not.toMatch(/<style|<[^>]* (on\w+|style)=|href="(javascript|data):/i);
  }
});

test("the room page shows the newest messages before an id, and its script continues after the last of them", async () => {
  const { url, chat } = await start();
  const ids: string[] = [];
  for (let n = 0; n < 250; n++) ids.push((await chat.post({ user: "bot", text: `${n}` })).id);
  const ann = await Person.login(url, "ann");
  const page = async (query: string) => {
    const { status, body } = await ann.ask(`chatroom/ann/${query}`);
    const shown = [...body.matchAll(/<li[^>]* data-id="([^"]*)"><bdi/g)].map(([, id]) => id);
    return { status, shown, cursor: / data-cursor="([^"]*)"/.exec(body)?.[1] };
  };
  // Ann's join notice is the newest message and counts as one of the hundred.
  const before = (index: number) => `?before=${ids[index]}`;
  expect(await page("")).toMatchObject({ status: 200, shown: ids.slice(151) });
  expect(await page(before(151))).toEqual({ status: 200, shown: ids.slice(51, 151), cursor: ids[150] });
  expect(await page(before(51))).toEqual({ status: 200, shown: ids.slice(0, 51), cursor: ids[50] });
  const oldest = await page(before(0));
  expect(oldest.shown).toEqual([]);
  const { gap, messages } = await ann.batch(`since=${oldest.cursor}&wait=0`);
  expect([gap, messages[0]?.id]).toEqual([undefined, ids[0]]);
});

test("a redirect to a room stays on the server", async () => {
  const { url } = await start();
  for (const [path, location] of [
    ["%2F%2Fevil.example", "./%2F%2Fevil.example/"],
    ["%0d%0aX:%20y", "./%0D%0AX%3A%20y/"],
    ["http:%2F%2Fevil.example", "./http%3A%2F%2Fevil.example/"],
    ["%5C%5Cevil.example", "./%5C%5Cevil.example/"],
  ]) {
    const { status, headers } = await ask(`${url}/chatroom/${path}`);
    expect([status, headers.location]).toEqual([308, location]);
  }
});

const ANY = { Accept: "*/*" };

test("a form in a browser that sends Accept: */* gets a page with the reason when it is refused, a script JSON", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { ann } = await startRoom({ loginRate: 1.25, postRate: 0.5 });
  const foreign = { "Sec-Fetch-Site": "cross-site" };
  for (const [status, path, body, headers] of [
    [409, "login?page", "name=ann", { Cookie: "" }],
    [422, "login?page", "name=a/b", { Cookie: "" }],
    [303, "login?page", "name=x", { Cookie: "" }],
    [429, "login?page", "name=y", { Cookie: "" }],
    [403, "login?page", "name=z", foreign],
    [403, "logout?page", "", foreign],
    [401, "put_post/ann?page", "message=x", { Cookie: "" }],
    [403, "put_post/bob?page", "message=x", {}],
    [415, "put_post/ann?page", "message=x", { "Content-Type": "text/plain" }],
    [422, "put_post/ann?page", "message=", {}],
    [422, "put_post/ann?page", "message=%00", {}],
    [429, "put_post/ann?page", "message=x", {}],
    [303, "logout?page", "", {}],
    [401, "get_post/ann?page&since=0", "", { Cookie: "", Accept: "application/json" }],
  ] as const) {
    const reply = await ann.send(path, body, { ...ANY, ...headers });
    const isPage = /^<!doctype html>/.test(reply.body) && `${reply.headers["content-type"]}`.includes("html");
    expect([path, reply.status, isPage]).toEqual([path, status, status !== 303]);
  }
  expect((await ann.send("put_post/bob?pages", "", ANY)).headers["content-type"]).toBe("application/json");
});

test("a post from another origin is refused, and one from our own page is accepted, also behind a proxy", async () => {
  const [alone, trusting] = [await startRoom(), await startRoom({ trustProxy: true })];
  const by = "X-Forwarded-Host";
  const origin = "https://chat.example";
  for (const [{ ann }, headers, status] of [
    [alone, { Origin: "https://a", Host: "a:80" }, 403],
    [alone, { Origin: "http://a", Host: "a:443" }, 403],
    [alone, { Origin: "http://a", Host: "a:b" }, 403],
    [alone, { Origin: "http://a", [by]: "a" }, 403],
    [trusting, {}, 200],
    [trusting, { Origin: `http://${HOST}` }, 200],
    [trusting, { Origin: origin, [by]: "chat.example" }, 200],
    [trusting, { Origin: origin, [by]: "evil.example, chat.example" }, 200],
    [trusting, { Origin: origin, [by]: "chat.example:443" }, 200],
    [trusting, { Origin: "http://chat.example", [by]: "CHAT.example:80" }, 200],
    [trusting, { Origin: "http://[::1]", [by]: "[::1]:80" }, 200],
    [trusting, { Origin: "https://evil.example", [by]: "evil.example, chat" }, 403],
  ] as const) {
    const reply = await ann.say("x", headers);
    expect([headers, reply.status]).toEqual([headers, status]);
    if (status === 403) expect(code(reply)).toEqual([403, "foreign_origin"]);
  }
});
