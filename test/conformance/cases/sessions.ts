/** Sessions: log-in, log-out, cookies, and requests as another user. */
import { about } from "../runner.js";
import { cookieOf, FORM, JSON_TYPE, type Reply } from "../site.js";
import type { Trial } from "../trial.js";

const { together } = about("sessions", "Routes");

/** Checks for a relative redirect to a path under the chat's root. */
function redirects(t: Trial, reply: Reply, from: string, status: number, path: string): void {
  const { location = "/" } = reply.headers;
  const isRelative = !/^([a-z][a-z0-9+.-]*:|\/)/i.test(location);
  const to = new URL(location, new URL(from, t.site.base)).href;
  const right = reply.status === status && isRelative && to === t.site.base.href + path;
  t.expect(reply, `${status}, by a relative redirect, to ${path}`, right);
}

together("a log-in redirects to the user's room and sets a cookie with HttpOnly and SameSite", async (t) => {
  const name = t.name();
  const reply = await t.login(name);
  redirects(t, reply, "login", 303, `chatroom/${name}/`);
  const [, ...attributes] = (reply.headers["set-cookie"]?.[0] ?? "").toLowerCase().split(/ *; */);
  t.expect(reply, "a cookie with HttpOnly", attributes.includes("httponly"));
  t.expect(reply, "a cookie with SameSite=Lax", attributes.includes("samesite=lax"));
  const isSecure = attributes.includes("secure") === (t.site.base.protocol === "https:");
  t.expect(reply, "Secure if, and only if, this is https", isSecure);
  const path = attributes.find((part) => part.startsWith("path="))?.slice(5) ?? "";
  const isForChat = t.site.base.pathname.toLowerCase().startsWith(path);
  t.expect(reply, "a cookie for the whole chat, under its mount", isForChat);
  const ann = t.back({ name, cookie: cookieOf(reply) });
  t.status(await ann.poll("since=now&wait=0"), 200);
});

together("a log-in by JSON is accepted", async (t) => {
  const name = t.name();
  const body = JSON.stringify({ name });
  const reply = await t.ask("login", { method: "POST", headers: JSON_TYPE, body });
  redirects(t, reply, "login", 303, `chatroom/${name}/`);
});

/** Returns the one-time key of a new log-in form. */
async function loginKey(t: Trial): Promise<string> {
  const reply = await t.ask("login");
  const isForm = /<form[^>]+method=["']?post/i.test(reply.body) && /name=["']?name\b/.test(reply.body);
  t.expect(reply, 'a form with method post and a field with name="name"', reply.status === 200 && isForm);
  const input = /<input\b[^>]*\bname=["']?key\b[^>]*>/i.exec(reply.body)?.[0] ?? "";
  const key = /\bvalue=["']?([^"'\s>]+)/i.exec(input)?.[1];
  t.expect(reply, 'a field with name="key" and a value', key !== undefined);
  return key ?? "";
}

together("a log-in form submitted twice is one log-in, and another form is a rival", async (t) => {
  const [name, key] = [t.name(), await loginKey(t)];
  const send = (one: string, type = FORM) => {
    const fields = { name, key: one };
    const body = type === FORM ? new URLSearchParams(fields).toString() : JSON.stringify(fields);
    return t.ask("login", { method: "POST", headers: type, body });
  };
  for (const reply of [...(await Promise.all([send(key), send(key)])), await send(key, JSON_TYPE)]) {
    redirects(t, reply, "login", 303, `chatroom/${name}/`);
    t.status(await t.back({ name, cookie: cookieOf(reply) }).poll("since=now&wait=0"), 200);
  }
  t.refused(await send(await loginKey(t)), 409, "name_taken");
  t.refused(await send("chosen by the caller"), 409, "name_taken");
});

together("/ redirects to the user's room or to the log-in page", async (t) => {
  const ann = await t.person();
  redirects(t, await ann.ask(""), "", 303, `chatroom/${ann.name}/`);
  redirects(t, await t.ask(""), "", 303, "login");
});

together("the room page redirects without a session, and from another's room to one's own", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const room = `chatroom/${ann.name}/`;
  t.status(await ann.ask(room), 200);
  redirects(t, await t.ask(room), room, 303, "login");
  redirects(t, await bob.ask(room), room, 303, `chatroom/${bob.name}/`);
  redirects(t, await ann.ask(room.slice(0, -1)), room.slice(0, -1), 308, room);
});

together("a poll, a post or a leave without a valid cookie is 401", async (t) => {
  const ann = await t.person();
  const [label = "", value = ""] = ann.cookie.split(/=(.*)/);
  const middle = Math.floor(value.length / 2);
  const other = value[middle] === "a" ? "b" : "a";
  for (const cookie of [
    "",
    `${label}=`,
    `${label}=.`,
    `${label}=__proto__`,
    `${label}=${encodeURIComponent(ann.name)}`,
    `${label}=${value.slice(0, middle)}${other}${value.slice(middle + 1)}`,
    ann.cookie.slice(0, -4),
  ]) {
    const eve = t.back({ name: ann.name, cookie });
    for (const reply of [await eve.poll("since=now&wait=0"), await eve.poll(""), await eve.say("x")])
      t.refused(reply, 401, "no_session");
    t.refused(await eve.leave(), 401, "no_session");
  }
});

together("the session cookie is found among other cookies", async (t) => {
  const ann = await t.person();
  const headers = { Cookie: `a=b; ${ann.cookie}; __proto__=x; c="d"` };
  t.status(await t.ask(`get_post/${ann.name}?since=now&wait=0`, { headers }), 200);
});

together("a poll, a post or a leave as another user is 403", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  const eve = t.back({ name: bob.name, cookie: ann.cookie });
  for (const reply of [await eve.poll("since=0&wait=0"), await eve.poll(""), await eve.say("forged")])
    t.refused(reply, 403, "not_you");
  t.refused(await eve.poll("", { method: "POST", headers: FORM, body: "since=0&wait=0" }), 403, "not_you");
  t.status(await eve.poll("since=0&wait=0", { method: "HEAD" }), 403);
  t.refused(await eve.leave(), 403, "not_you");
  t.equal("a post as another: what the other heard", await t.hear(bob, since, 0), []);
});

together("the name of a present user is taken, and is free at once after a log-out", async (t) => {
  const ann = await t.person();
  await ann.end();
  t.refused(await t.login(ann.name), 409, "name_taken");
  const again = await t.login(ann.name, { Cookie: ann.cookie });
  t.expect(again, "303: one's own name is not taken", again.status === 303);
  t.refused(await ann.poll("since=now&wait=0"), 401, "no_session");
  const newer = t.back({ name: ann.name, cookie: cookieOf(again) });
  t.refused(await t.login(ann.name, { Cookie: ann.cookie }), 409, "name_taken");
  redirects(t, await newer.logout(), "logout", 303, "login");
  const next = await t.person(ann.name);
  t.refused(await t.login(ann.name, { Cookie: newer.cookie }), 409, "name_taken");
  t.status(await next.poll("since=now&wait=0"), 200);
});

together("a log-out clears the cookie and ends the session", async (t) => {
  const ann = await t.person();
  const poll = ann.poll(`since=${await ann.end()}&wait=20`);
  await t.settle();
  const reply = await ann.logout();
  const cookie = reply.headers["set-cookie"]?.[0] ?? "";
  const isCleared = /max-age=0|expires=[^;]*(1970|1969)/i.test(cookie);
  const [label] = ann.cookie.split("=");
  t.expect(reply, "a Set-Cookie that ends the cookie", cookie.startsWith(`${label}=`) && isCleared);
  t.refused(await ann.poll("since=now&wait=0"), 401, "no_session");
  t.refused(await ann.say("as a ghost"), 401, "no_session");
  // The contract does not define the reply to a poll held at the log-out, but it must not receive later messages.
  const bob = await t.person();
  await bob.post("not for ghosts");
  const held = await poll;
  t.expect(held, "no message posted after the log-out", !held.body.includes("not for ghosts"));
});
