/** HTTP: browsers, errors, HEAD, /healthz and /metrics, and connections over bare sockets. */
import { about } from "../runner.js";
import { FORM, HTML, JSON_TYPE, repliesIn } from "../site.js";

const browsers = about("browsers", "Errors");

/** The headers of a request from another site. HOST is the server's own host. */
const FOREIGN: readonly Readonly<Record<string, string>>[] = [
  { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" },
  { "Sec-Fetch-Site": "cross-site", Origin: "http://HOST" },
  ...["cross-site", "same-site", "unknown", "same-origin, same-origin"].map((site) => ({
    "Sec-Fetch-Site": site,
  })),
  ...["https://evil.example", "http://HOST.evil.example", "http://HOST@evil.example"].map((Origin) => ({
    Origin,
  })),
  ...["http://evil-HOST", "HOST", "ftp://HOST", "http://127.0.0.1:1", "null"].map((Origin) => ({ Origin })),
];

browsers.hears("a cross-site post is refused on every route", ["own", "own", "own"], async (t, ann) => {
  for (const one of FOREIGN) {
    const headers = JSON.parse(JSON.stringify(one).replaceAll("HOST", t.site.base.host));
    for (const [path, body] of [
      [`put_post/${ann.name}`, "message=forged"],
      [`get_post/${ann.name}?since=now&wait=0`, ""],
      [`leave/${ann.name}`, ""],
      ["login", `name=${t.name()}`],
      ["logout", ""],
    ] as const)
      t.refused(await ann.send(path, body, headers), 403, "foreign_origin");
  }
  for (const headers of [{}, { "Sec-Fetch-Site": "same-origin" }, { "Sec-Fetch-Site": "none" }])
    t.status(await ann.say("own", { Origin: t.site.base.origin, ...headers }), 200);
});

browsers.alone("a cross-site poll is refused and moves no cursor", async (t, ann, bob) => {
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

browsers.together("the room page shows messages as text and works under any mount path", async (t, ann) => {
  const mark = t.name("mark");
  await ann.post(`<script>${mark}</script> & "more"`);
  const page = await ann.ask(`chatroom/${ann.name}/`);
  t.expect(page, "the message, in the page", page.body.includes(mark));
  t.expect(page, "the message as text, not as a script", !page.body.includes(`<script>${mark}`));
  const absolute = /<(?:script|link|form|img|base)\b[^>]*?\b(?:src|href|action)=["']?(\/|https?:)[^"'\s>]+/gi;
  const error = await t.ask("no/such/page", { headers: HTML });
  for (const { sent, body } of [page, await t.ask("login"), error])
    t.equal(`${sent}: links that are not relative`, body.match(absolute), null);
});

const errors = about("errors", "Errors");

errors.together("an unknown path is 404, as JSON or as a page, as the caller prefers", async (t) => {
  const json = { Accept: "application/json, text/html;q=0.5" };
  for (const path of ["nothing", "login/more", "get_post/", "chatroom/", "__proto__", "constructor"]) {
    t.refused(await t.ask(path), 404, "not_found");
    t.refused(await t.ask(path, { headers: json }), 404, "not_found");
    t.page(await t.ask(path, { headers: HTML }), 404);
    t.page(await t.ask(`${path}?page`), 404);
  }
});

for (const [method, path, allowed] of [
  ["DELETE", "login", "GET, HEAD, POST"],
  ["PUT", "get_post/NAME", "GET, HEAD, POST"],
  ["OPTIONS", "get_post/NAME", "GET, HEAD, POST"],
  ["GET", "put_post/NAME", "POST"],
  ["HEAD", "logout", "POST"],
  ["GET", "leave/NAME", "POST"],
  ["POST", "who", "GET, HEAD"],
  ["POST", "healthz", "GET, HEAD"],
  ["PATCH", "chatroom/NAME/", "GET, HEAD"],
] as const)
  errors.together(`${method} /${path} is 405, with Allow: ${allowed}`, async (t, ann) => {
    const reply = await ann.ask(path.replace("NAME", ann.segment), { method });
    if (method === "HEAD") t.status(reply, 405);
    else t.refused(reply, 405, "method_not_allowed");
    const allow = (reply.headers.allow ?? "").split(/\s*,\s*/).filter((name) => name !== "OPTIONS");
    t.equal(`${reply.sent}: Allow`, allow.sort().join(", "), allowed);
  });

const MULTIPART = { "Content-Type": "multipart/form-data; boundary=x" };

for (const [what, status, headers, body] of [
  ["of text/plain", 415, { "Content-Type": "text/plain" }, "message=x"],
  ["of no type", 415, {}, "message=x"],
  ["of multipart/form-data", 415, MULTIPART, "--x--"],
  ["that is not JSON", 400, JSON_TYPE, "{"],
  ["that is another JSON", 400, JSON_TYPE, "[]"],
  ["that is JSON null", 400, JSON_TYPE, "null"],
  ["that has a field that is no text", 400, JSON_TYPE, '{"message":["x"]}'],
  ["that has broken percent-encoding", 400, FORM, "message=%zz"],
  ["that is cut off in a percent-encoded character", 400, FORM, "message=%E4%BD"],
  ["that is not UTF-8", 400, FORM, Buffer.from([0x6d, 0x3d, 0xff])],
  ["that is JSON but not UTF-8", 400, JSON_TYPE, Buffer.from('{"message":"\xff"}', "latin1")],
] as const)
  errors.together(`a body ${what} is ${status}`, async (t, ann) => {
    const reply = await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers, body });
    t.refused(reply, status, status === 415 ? "unsupported_type" : "bad_request");
  });

errors.together("a body of 64 KiB is accepted, and one more byte is 413", async (t, ann) => {
  const put = (length: number) => ann.send(`put_post/${ann.segment}`, "message=x&fill=".padEnd(length, "y"));
  t.status(await put(65_536), 200);
  const reply = await put(65_537);
  t.refused(reply, 413, "too_large");
  // A proxy keeps its own connection open.
  if (!t.here.proxy) t.expect(reply, "Connection: close", reply.headers.connection === "close");
});

errors.together("a malformed query or path is 400", async (t, ann) => {
  for (const query of ["since=%", "since=now&wait=0&x=%zz", "since=now&wait=0&client=%ff"])
    t.refused(await ann.poll(query), 400, "bad_request");
  t.refused(await ann.send(`leave/${ann.segment}?%ff`), 400, "bad_request");
  // A proxy can refuse such a path itself.
  const paths = ["get_post/%zz?since=now&wait=0", "get_post/%ff?since=now&wait=0", "chatroom/%E4%BD/"];
  for (const path of t.here.proxy ? [] : paths) t.refused(await ann.ask(path), 400, "bad_request");
});

errors.together("every dynamic reply forbids caching, and JSON has its type", async (t, ann) => {
  const room = `chatroom/${ann.segment}`;
  const paths = ["", "login", room, `${room}/`, "who", "healthz", `history/${ann.segment}`, "nothing"];
  for (const reply of [
    ...(await Promise.all(paths.map((path) => ann.ask(path)))),
    ...[await ann.say("x"), await ann.say("x", HTML), await ann.say(""), await ann.leave()],
    ...[await ann.poll("since=0&wait=0"), await ann.poll("since=x"), await ann.poll("")],
    ...[await t.login(t.name()), await t.login(""), await ann.logout(), await ann.say("x")],
  ]) {
    t.expect(reply, "Cache-Control: no-store", /\bno-store\b/.test(reply.headers["cache-control"] ?? ""));
    const isTyped = /^application\/json\b/.test(reply.headers["content-type"] ?? "");
    t.expect(reply, "Content-Type: application/json", isTyped || !/^[{["]/.test(reply.body));
  }
});

const http = about("HTTP", "Routes");

http.together("HEAD is wherever there is GET: the same status, no body, at once", async (t, ann) => {
  const since = await ann.end();
  for (const [path, status] of [
    ["", 303],
    ["login", 200],
    [`chatroom/${ann.segment}`, 308],
    [`chatroom/${ann.segment}/`, 200],
    ["who", 200],
    ["healthz", 200],
    [`get_post/${ann.segment}?since=0&wait=20`, 200],
    [`get_post/${ann.segment}?since=${since}&wait=20`, 200],
    [`get_post/${ann.segment}`, 200],
    [`get_post/${ann.segment}?since=x`, 400],
    ["nothing", 404],
  ] as const) {
    const head = await ann.ask(path, { method: "HEAD" });
    t.equal(head.sent, [head.status, head.body], [status, ""]);
    t.took(head, 0, 8000);
  }
});

http.together("/healthz is 200 and ok, and /metrics is Prometheus text", async (t) => {
  const { sent, status, body } = await t.ask("healthz");
  t.equal(sent, [status, body.trim()], [200, "ok"]);
  const reply = await t.ask("metrics");
  if (reply.status === 404) return t.notTried("this server has no /metrics");
  const type = reply.headers["content-type"] ?? "";
  t.expect(reply, "200 and text/plain", reply.status === 200 && /^text\/plain|openmetrics/.test(type));
  const isMetric = /^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?|)$/;
  const wrong = reply.body.split("\n").filter((line) => !isMetric.test(line));
  t.equal(`${reply.sent}: lines that are no metric`, wrong, []);
});

const connections = about("connections", "RFC 9112");

connections.together("a poll over HTTP/1.0 is held and answered, and then closed", async (t, ann, bob) => {
  const since = await bob.end();
  const head = t.site.head("GET", `get_post/${bob.segment}?since=${since}&wait=8`, `Cookie: ${bob.cookie}`);
  const text = t.site.raw(`${head.replace("HTTP/1.1", "HTTP/1.0")}\r\n`);
  await t.settle();
  await ann.post("to 1.0");
  const [reply] = repliesIn(await text);
  const isReadable = reply?.status === 200 && !/\r\ntransfer-encoding:/i.test(reply.text);
  const sent = "GET …since=… HTTP/1.0, held, then a post";
  t.expect(sent, "200, which HTTP/1.0 can read", isReadable, reply?.text);
});

connections.together("a request in small pieces, and a target in absolute form, are accepted", async (t) => {
  const head = `${t.site.head("GET", "healthz", "Connection: close")}\r\n`;
  const absolute = head.replace("GET ", `GET http://${t.site.base.host}`);
  for (const pieces of [head.match(/.{1,4}/gs) ?? [], [absolute]]) {
    const [reply] = repliesIn(await t.site.raw(...pieces));
    t.equal(`${pieces.join("")}in ${pieces.length} pieces`, reply?.status, 200);
  }
});

connections.hears("a poll and a post in one packet are answered in order", ["one", "two"], async (t, ann) => {
  const path = `get_post/${ann.segment}?since=${await ann.end()}&wait=2`;
  const poll = `${t.site.head("GET", path, `Cookie: ${ann.cookie}`, "X: y")}\r\n`;
  const post = (text: string) => `${t.postHead(ann, "Content-Length: 11", "X: y")}\r\nmessage=${text}`;
  for (const [first, second, expected] of [
    [poll, post("one"), "200,batch,200,id"],
    [post("two"), poll, "200,id,200,batch"],
  ] as const) {
    const replies = repliesIn(await t.site.raw(first + second.replace("X: y", "Connection: close")));
    const came = replies.map(({ status, text }) => [status, text.includes('"messages"') ? "batch" : "id"]);
    t.equal("a poll and a post in one packet: the replies", came.join(), expected);
  }
});
