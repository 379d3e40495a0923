/** Pages: security headers, and escaped user text. */
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { chatPerTest, roomPerTest } from "./chat.js";
import { ask, HTML, login, Person } from "./person.js";
import { startServer } from "./server.js";

const [start, startRoom] = [chatPerTest(), roomPerTest()];
afterEach(() => {
  vi.useRealTimers();
});

test("the log-in page shows the current session with a link to its room, also after a refused name", async () => {
  const { url } = await start();
  const ann = await Person.login(url, "A&n?");
  const told =
    '<p>You are logged in as <bdi>A&#38;n?</bdi>. <a href="chatroom/A%26n%3F/">Back to the room</a></p>';
  expect((await ann.ask("login")).body).toContain(told);
  const refused = await login(url, "a/b", { ...HTML, Cookie: ann.cookie });
  expect(refused.status).toBe(422);
  expect(refused.body).toContain(told);
  expect((await ann.ask("login", { headers: { "Accept-Language": "zh" } })).body).toContain(
    "你已以“<bdi>A&#38;n?</bdi>”",
  );
  await ann.logout();
  for (const Cookie of ["", "holdline=x", ann.cookie])
    expect((await ask(`${url}/login`, { headers: { Cookie } })).body).not.toContain("You are logged in");
});

test("every page shows the title of the chat", async () => {
  const { url, ann } = await startRoom({ title: "Tea & <talk>" });
  for (const { body } of [await ask(`${url}/login`), await ann.ask("chatroom/ann/")]) {
    expect(body).toContain("<title>Tea &#38; &#60;talk&#62;</title>");
    expect(body).toContain("<h1>Tea &#38; &#60;talk&#62;</h1>");
  }
  const error = await ask(`${url}/nothing`, { headers: HTML });
  expect(error.body).toContain("<title>404 · Tea &#38; &#60;talk&#62;</title>");
});

test("every page has the security headers and nothing that they block", async () => {
  const { url } = await start({ loginRate: 0.7 });
  vi.useFakeTimers({ toFake: ["performance"] });
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
    await ask(`${url}/%zz`, { headers: HTML }),
    await login(url, 'a/"><script>alert(1)</script>', HTML),
    await login(url, "bob", HTML),
  ];
  expect(pages.map((page) => page.status)).toEqual([200, 200, 404, 405, 403, 422, 403, 401, 400, 422, 429]);
  for (const { headers, body } of pages) {
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

test("a name is percent-encoded in redirects and unreadable in the cookie", async () => {
  const { url } = await start();
  const anyName = fc
    .string({ unit: "binary", minLength: 1, maxLength: 32 })
    .filter((name) => !/[\p{Cc}\p{Cf}\p{Co}\p{Cs}/\\]/u.test(name));
  const nasty = fc.constantFrom(
    "a\u00a0b",
    "%0d%0aSet-Cookie:x=1",
    "//evil.example",
    "?#&=;,",
    '"<>',
    "å",
    "😀",
  );
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyName, nasty), async (name) => {
      const reply = await login(url, name);
      if (reply.status === 422) return;
      accepted++;
      expect(reply.status).toBe(303);
      expect(reply.headers.location).toMatch(/^chatroom\/[\w.!~*'()%-]+\/$/);
      const [cookie = "", ...others] = reply.headers["set-cookie"] ?? [];
      expect(others).toHaveLength(1);
      expect(cookie).toMatch(/^holdline(?:_\d+)?=[\w-]+\.[\w-]+; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
      const person = Person.of(url, name, reply);
      expect((await person.ask("chatroom/x/")).headers.location).toBe(`../../${reply.headers.location}`);
      await person.logout();
      person.close();
    }),
    { numRuns: 100 },
  );
  expect(accepted).toBeGreaterThan(50);
});

test.each([
  ["%2F%2Fevil.example", "./%2F%2Fevil.example/"],
  ["%0d%0aX:%20y", "./%0D%0AX%3A%20y/"],
  ["http:%2F%2Fevil.example", "./http%3A%2F%2Fevil.example/"],
  ["%5C%5Cevil.example", "./%5C%5Cevil.example/"],
])("the path /chatroom/%s redirects to %s", async (path, location) => {
  const { url } = await start();
  const reply = await ask(`${url}/chatroom/${path}`);
  expect([reply.status, reply.headers.location]).toEqual([308, location]);
});

test("requests write nothing to the log of the program", async () => {
  const server = await startServer();
  const ann = await Person.login(server.url, "ann\u00a0x");
  await ann.post("holdline: the disk is full");
  await ann.ask("%0aholdline:%20x", { headers: { "User-Agent": "x\tholdline: y", Referer: "z" } });
  await ann.send("put_post/x%0a", "message=%0a");
  await server.stop();
  expect(server.stderr()).toBe("");
});
