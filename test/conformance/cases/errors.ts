/** Errors: status, code and format. */
import { about } from "../runner.js";
import { FORM, HTML, JSON_TYPE } from "../site.js";

const { cases, add } = about("errors");
export const errors = cases;

add(
  "an unknown path is 404, as JSON or as a page, as the caller prefers",
  "Errors",
  "together",
  async (t) => {
    for (const path of ["nothing", "login/more", "get_post/", "chatroom/", "__proto__", "constructor"]) {
      t.refused(await t.ask(path), 404, "not_found");
      t.refused(
        await t.ask(path, { headers: { Accept: "application/json, text/html;q=0.5" } }),
        404,
        "not_found",
      );
      const page = await t.ask(path, { headers: HTML });
      t.expect(
        page,
        "404 and a page",
        page.status === 404 && /^text\/html/.test(page.headers["content-type"] ?? ""),
      );
    }
  },
);

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
  add(
    `${method} /${path} is 405, with Allow: ${allowed}`,
    "Routes: another method",
    "together",
    async (t) => {
      const ann = await t.person();
      const reply = await ann.ask(path.replace("NAME", ann.segment), { method });
      if (method === "HEAD") t.status(reply, 405);
      else t.refused(reply, 405, "method_not_allowed");
      const allow = (reply.headers.allow ?? "")
        .split(/\s*,\s*/)
        .filter((name) => name !== "OPTIONS")
        .sort();
      t.equal(`${reply.sent}: Allow`, allow.join(", "), allowed);
    },
  );
}

for (const [what, headers, body] of [
  ["text/plain", { "Content-Type": "text/plain" }, "message=x"],
  ["no type", {}, "message=x"],
  ["multipart/form-data", { "Content-Type": "multipart/form-data; boundary=x" }, "--x--"],
] as const) {
  add(`a body of ${what} is 415`, "Routes: Bodies; Errors: unsupported_type", "together", async (t) => {
    const ann = await t.person();
    t.refused(
      await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers, body }),
      415,
      "unsupported_type",
    );
  });
}

add("a body of 64 KiB is accepted, and one more byte is 413", "Errors: too_large", "together", async (t) => {
  const ann = await t.person();
  const put = (length: number) =>
    ann.ask(`put_post/${ann.segment}`, {
      method: "POST",
      headers: FORM,
      body: "message=x&fill=".padEnd(length, "y"),
    });
  t.status(await put(65_536), 200);
  t.refused(await put(65_537), 413, "too_large");
});

add("the connection closes after 413", "Errors: too_large", "together", async (t) => {
  t.direct();
  const ann = await t.person();
  const body = "message=x&fill=".padEnd(65_537, "y");
  const reply = await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers: FORM, body });
  t.expect(reply, "413 with Connection: close", reply.status === 413 && reply.headers.connection === "close");
});

for (const [what, headers, body] of [
  ["is not JSON", JSON_TYPE, "{"],
  ["is another JSON", JSON_TYPE, "[]"],
  ["is JSON null", JSON_TYPE, "null"],
  ["has a field that is no text", JSON_TYPE, '{"message":1}'],
  ["has broken percent-encoding", FORM, "message=%zz"],
  ["is cut off in a percent-encoded character", FORM, "message=%E4%BD"],
  ["is not UTF-8", FORM, Buffer.from([0x6d, 0x3d, 0xff])],
  ["is JSON that is not UTF-8", JSON_TYPE, Buffer.from('{"message":"\xff"}', "latin1")],
] as const) {
  add(`a body that ${what} is 400`, "Errors: bad_request", "together", async (t) => {
    const ann = await t.person();
    t.refused(
      await ann.ask(`put_post/${ann.segment}`, { method: "POST", headers, body }),
      400,
      "bad_request",
    );
  });
}

add("a malformed query is 400", "Errors: bad_request", "together", async (t) => {
  const ann = await t.person();
  for (const query of ["since=%", "since=now&wait=0&x=%zz", "since=now&wait=0&client=%ff"]) {
    t.refused(await ann.poll(query), 400, "bad_request");
  }
});

add("a malformed path is 400", "Errors: bad_request", "together", async (t) => {
  t.direct();
  const ann = await t.person();
  for (const path of ["get_post/%zz?since=now&wait=0", "get_post/%ff?since=now&wait=0", "chatroom/%E4%BD/"]) {
    t.refused(await ann.ask(path), 400, "bad_request");
  }
});

add(
  "every dynamic reply forbids caching",
  "Every dynamic reply carries Cache-Control: no-store",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const post = (path: string, body: string, headers = {}) =>
      ann.ask(path, { method: "POST", headers: { ...FORM, ...headers }, body });
    const replies = [
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
      await post(`put_post/${ann.segment}`, "x", { "Content-Type": "text/plain" }),
      await post(`put_post/${ann.segment}`, "x", { Origin: "null" }),
      await ann.poll(""),
      await t.login(ann.name),
      await t.login("a/b"),
      await t.login("a/b", HTML),
      await post(`leave/${ann.segment}`, ""),
      await ann.logout(),
    ];
    for (const reply of replies) {
      t.expect(reply, "Cache-Control: no-store", /\bno-store\b/.test(reply.headers["cache-control"] ?? ""));
    }
  },
);

add("a caller over the rate gets 429 with Retry-After", "Errors: slow_down", "last", async (t) => {
  const [slowed] = t.site.slowed;
  if (!slowed) return t.notTried("no request got 429: rates are off or high");
  t.refused(slowed, 429, "slow_down");
  t.expect(slowed, "Retry-After, in whole seconds", /^\d+$/.test(slowed.headers["retry-after"] ?? ""));
});
