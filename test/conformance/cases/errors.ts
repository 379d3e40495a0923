/** Errors: status, code and format. */
import { about } from "../runner.js";
import { FORM, HTML, JSON_TYPE } from "../site.js";

const { together, last } = about("errors", "Errors");

together("an unknown path is 404, as JSON or as a page, as the caller prefers", async (t) => {
  for (const path of ["nothing", "login/more", "get_post/", "chatroom/", "__proto__", "constructor"]) {
    t.refused(await t.ask(path), 404, "not_found");
    const json = { Accept: "application/json, text/html;q=0.5" };
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
] as const) {
  together(`${method} /${path} is 405, with Allow: ${allowed}`, async (t) => {
    const ann = await t.person();
    const reply = await ann.ask(path.replace("NAME", ann.segment), { method });
    if (method === "HEAD") t.status(reply, 405);
    else t.refused(reply, 405, "method_not_allowed");
    const allow = (reply.headers.allow ?? "").split(/\s*,\s*/).filter((name) => name !== "OPTIONS");
    t.equal(`${reply.sent}: Allow`, allow.sort().join(", "), allowed);
  });
}

const TYPE = [415, "unsupported_type"] as const;
const MALFORMED = [400, "bad_request"] as const;

for (const [what, [status, code], headers, body] of [
  ["of text/plain", TYPE, { "Content-Type": "text/plain" }, "message=x"],
  ["of no type", TYPE, {}, "message=x"],
  ["of multipart/form-data", TYPE, { "Content-Type": "multipart/form-data; boundary=x" }, "--x--"],
  ["that is not JSON", MALFORMED, JSON_TYPE, "{"],
  ["that is another JSON", MALFORMED, JSON_TYPE, "[]"],
  ["that is JSON null", MALFORMED, JSON_TYPE, "null"],
  ["that has a field that is no text", MALFORMED, JSON_TYPE, '{"message":1}'],
  ["that has broken percent-encoding", MALFORMED, FORM, "message=%zz"],
  ["that is cut off in a percent-encoded character", MALFORMED, FORM, "message=%E4%BD"],
  ["that is not UTF-8", MALFORMED, FORM, Buffer.from([0x6d, 0x3d, 0xff])],
  ["that is JSON but not UTF-8", MALFORMED, JSON_TYPE, Buffer.from('{"message":"\xff"}', "latin1")],
] as const) {
  together(`a body ${what} is ${status}`, async (t) => {
    const ann = await t.person();
    const reply = await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers, body });
    t.refused(reply, status, code);
  });
}

together("a body of 64 KiB is accepted, and one more byte is 413", async (t) => {
  const ann = await t.person();
  const put = (length: number) => ann.send(`put_post/${ann.segment}`, "message=x&fill=".padEnd(length, "y"));
  t.status(await put(65_536), 200);
  t.refused(await put(65_537), 413, "too_large");
});

together("the connection closes after 413", async (t) => {
  t.direct();
  const ann = await t.person();
  const reply = await ann.send(`put_post/${ann.segment}`, "message=x&fill=".padEnd(65_537, "y"));
  t.expect(reply, "413 with Connection: close", reply.status === 413 && reply.headers.connection === "close");
});

together("a malformed query is 400", async (t) => {
  const ann = await t.person();
  for (const query of ["since=%", "since=now&wait=0&x=%zz", "since=now&wait=0&client=%ff"])
    t.refused(await ann.poll(query), 400, "bad_request");
});

together("a malformed path is 400", async (t) => {
  t.direct();
  const ann = await t.person();
  for (const path of ["get_post/%zz?since=now&wait=0", "get_post/%ff?since=now&wait=0", "chatroom/%E4%BD/"])
    t.refused(await ann.ask(path), 400, "bad_request");
});

together("every dynamic reply forbids caching", async (t) => {
  const ann = await t.person();
  const since = await ann.end();
  for (const reply of [
    await ann.ask(""),
    await t.ask("login"),
    await ann.ask(`chatroom/${ann.segment}`),
    await ann.ask(`chatroom/${ann.segment}/`),
    await t.ask(`chatroom/${ann.segment}/`),
    await ann.poll(`since=${since}&wait=0`),
    await ann.poll("since=x"),
    await ann.poll("since=0&wait=61"),
    await t.ask(`get_post/${ann.segment}?since=0`),
    await ann.ask("get_post/somebody%20else?since=0"),
    await ann.ask("who"),
    await ann.ask("healthz"),
    await ann.ask("nothing"),
    await ann.ask("nothing", { headers: HTML }),
    await ann.ask("who", { method: "PUT" }),
    await ann.say("kept"),
    await ann.say("kept", HTML),
    await ann.say(""),
    await ann.say("x", { "Content-Type": "text/plain" }),
    await ann.say("x", { Origin: "null" }),
    await ann.poll(""),
    await t.login(ann.name),
    await t.login("a/b"),
    await t.login("a/b", HTML),
    await ann.leave(),
    await ann.logout(),
  ])
    t.expect(reply, "Cache-Control: no-store", /\bno-store\b/.test(reply.headers["cache-control"] ?? ""));
});

last("a caller over the rate gets 429 with Retry-After", async (t) => {
  const [slowed] = t.site.slowed;
  if (!slowed) return t.notTried("no request got 429: rates are off or high");
  t.refused(slowed, 429, "slow_down");
  t.expect(slowed, "Retry-After, in whole seconds", /^\d+$/.test(slowed.headers["retry-after"] ?? ""));
});
