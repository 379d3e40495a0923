/** Sessions: log-in, log-out, cookies, and requests as another user. */
import { about } from "../runner.js";
import { FORM, type Reply } from "../site.js";
import type { Trial } from "../trial.js";

const { cases, add } = about("sessions");
export const sessions = cases;

/** Returns the target of a redirect relative to the chat's root, or undefined if it is absolute. */
function leads(t: Trial, reply: Reply, from: string): string | undefined {
  const { location } = reply.headers;
  if (location === undefined || /^([a-z][a-z0-9+.-]*:|\/)/i.test(location)) return undefined;
  const to = new URL(location, new URL(from, t.site.base)).href;
  return to.startsWith(t.site.base.href) ? to.slice(t.site.base.href.length) : undefined;
}

function redirects(t: Trial, reply: Reply, from: string, status: number, to: string): void {
  t.expect(
    reply,
    `${status}, by a relative redirect, to ${to}`,
    reply.status === status && leads(t, reply, from) === to,
  );
}

add(
  "a log-in redirects to the user's room and sets a cookie with HttpOnly and SameSite",
  "Routes: POST /login",
  "together",
  async (t) => {
    const name = t.name();
    const reply = await t.login(name);
    redirects(t, reply, "login", 303, `chatroom/${name}/`);
    const attributes = (reply.headers["set-cookie"]?.[0] ?? "")
      .split(";")
      .slice(1)
      .map((part) => part.trim().toLowerCase());
    t.expect(reply, "a cookie with HttpOnly", attributes.includes("httponly"));
    t.expect(reply, "a cookie with SameSite=Lax", attributes.includes("samesite=lax"));
    const secure = t.site.base.protocol === "https:";
    t.expect(
      reply,
      secure ? "a cookie with Secure" : "a cookie without Secure, or no browser sends it back",
      attributes.includes("secure") === secure,
    );
    const path = attributes.find((part) => part.startsWith("path="))?.slice(5);
    t.expect(
      reply,
      "a cookie for the whole chat, under its mount",
      path === undefined || t.site.base.pathname.toLowerCase().startsWith(path),
    );
    const headers = { Cookie: reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
    t.status(await t.ask(`get_post/${name}?since=now&wait=0`, { headers }), 200);
    await t.ask("logout", { method: "POST", headers });
  },
);

add("a log-in by JSON is accepted", "Routes: Bodies", "together", async (t) => {
  const name = t.name();
  const headers = { "Content-Type": "application/json" };
  const reply = await t.ask("login", { method: "POST", headers, body: JSON.stringify({ name }) });
  redirects(t, reply, "login", 303, `chatroom/${name}/`);
});

add("the log-in page has a form with a field for the name", "Routes: GET /login", "together", async (t) => {
  const reply = await t.ask("login");
  t.status(reply, 200);
  t.expect(
    reply,
    'a form with method post and a field with name="name"',
    /<form[^>]+method=["']?post/i.test(reply.body) && /name=["']?name\b/.test(reply.body),
  );
});

/** Returns the one-time key of a new log-in form. */
async function loginKey(t: Trial): Promise<string> {
  const reply = await t.ask("login");
  const input = /<input\b[^>]*\bname=["']?key\b[^>]*>/i.exec(reply.body)?.[0] ?? "";
  const key = /\bvalue=["']?([^"'\s>]+)/i.exec(input)?.[1];
  t.expect(reply, 'a field with name="key" and a value', key !== undefined);
  return key ?? "";
}

add(
  "a log-in form submitted twice is one log-in, and another form is a rival",
  "Routes: GET and POST /login",
  "together",
  async (t) => {
    const [name, key] = [t.name(), await loginKey(t)];
    const send = (one: string) =>
      t.ask("login", { method: "POST", headers: FORM, body: `name=${name}&key=${encodeURIComponent(one)}` });
    const replies = await Promise.all([send(key), send(key)]);
    for (const reply of replies) {
      redirects(t, reply, "login", 303, `chatroom/${name}/`);
      const headers = { Cookie: reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
      t.status(await t.ask(`get_post/${name}?since=now&wait=0`, { headers }), 200);
    }
    t.refused(await send(await loginKey(t)), 409, "name_taken");
    t.refused(await send("chosen by the caller"), 409, "name_taken");
    const headers = { Cookie: replies[0]?.headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
    await t.ask("logout", { method: "POST", headers });
  },
);

add("/ redirects to the user's room or to the log-in page", "Routes: GET /", "together", async (t) => {
  const ann = await t.person();
  redirects(t, await ann.ask(""), "", 303, `chatroom/${ann.name}/`);
  redirects(t, await t.ask(""), "", 303, "login");
});

add(
  "the room page redirects to the log-in without a session, and from another's room to one's own",
  "Routes: GET /chatroom",
  "together",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    t.status(await ann.ask(`chatroom/${ann.name}/`), 200);
    redirects(t, await t.ask(`chatroom/${ann.name}/`), `chatroom/${ann.name}/`, 303, "login");
    redirects(
      t,
      await ann.ask(`chatroom/${bob.name}/`),
      `chatroom/${bob.name}/`,
      303,
      `chatroom/${ann.name}/`,
    );
    redirects(t, await ann.ask(`chatroom/${ann.name}`), `chatroom/${ann.name}`, 308, `chatroom/${ann.name}/`);
  },
);

add(
  "a poll, a post or a leave without a valid cookie is 401",
  "Errors: no_session",
  "together",
  async (t) => {
    const ann = await t.person();
    const [label = "", value = ""] = ann.cookie.split(/=(.*)/);
    const middle = Math.floor(value.length / 2);
    const other = value[middle] === "a" ? "b" : "a";
    const cookies = [
      "",
      `${label}=`,
      `${label}=.`,
      `${label}=__proto__`,
      `${label}=${encodeURIComponent(ann.name)}`,
    ];
    cookies.push(
      `${label}=${value.slice(0, middle)}${other}${value.slice(middle + 1)}`,
      ann.cookie.slice(0, -4),
    );
    for (const Cookie of cookies) {
      const headers = Cookie === "" ? {} : { Cookie };
      t.refused(await t.ask(`get_post/${ann.name}?since=now&wait=0`, { headers }), 401, "no_session");
      t.refused(
        await t.ask(`put_post/${ann.name}`, {
          method: "POST",
          headers: { ...FORM, ...headers },
          body: "message=x",
        }),
        401,
        "no_session",
      );
    }
    t.refused(await t.ask(`get_post/${ann.name}`), 401, "no_session");
    t.refused(await t.ask(`leave/${ann.name}`, { method: "POST" }), 401, "no_session");
  },
);

add("the session cookie is found among other cookies", "Routes: POST /login", "together", async (t) => {
  const ann = await t.person();
  const headers = { Cookie: `a=b; ${ann.cookie}; __proto__=x; c="d"` };
  t.status(await t.ask(`get_post/${ann.name}?since=now&wait=0`, { headers }), 200);
});

add("a poll, a post or a leave as another user is 403", "Errors: not_you", "together", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  t.refused(await ann.ask(`get_post/${bob.name}?since=0&wait=0`), 403, "not_you");
  t.refused(await ann.ask(`get_post/${bob.name}`), 403, "not_you");
  t.refused(
    await ann.ask(`put_post/${bob.name}`, { method: "POST", headers: FORM, body: "message=forged" }),
    403,
    "not_you",
  );
  t.refused(await ann.ask(`leave/${bob.name}`, { method: "POST" }), 403, "not_you");
  t.equal("a post as another: what the other heard", await t.hear(bob, since, 0), []);
});

add(
  "the name of a present user is taken, and is free at once after a log-out",
  "Routes: POST /login, /logout; Errors: name_taken",
  "together",
  async (t) => {
    const ann = await t.person();
    await ann.end();
    t.refused(await t.login(ann.name), 409, "name_taken");
    const again = await t.login(ann.name, { Cookie: ann.cookie });
    t.expect(again, "303: one's own name is not taken", again.status === 303);
    t.refused(await ann.poll("since=now&wait=0"), 401, "no_session");
    const headers = { Cookie: again.headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
    redirects(t, await t.ask("logout", { method: "POST", headers }), "logout", 303, "login");
    t.status(await t.login(ann.name), 303);
  },
);

add(
  "a log-out clears the cookie and ends the session",
  "Routes: POST /logout; Errors: no_session",
  "together",
  async (t) => {
    const ann = await t.person();
    const poll = ann.poll(`since=${await ann.end()}&wait=20`);
    await t.settle();
    const reply = await ann.logout();
    const cookie = reply.headers["set-cookie"]?.[0] ?? "";
    t.expect(
      reply,
      "a Set-Cookie that ends the cookie",
      cookie.startsWith(`${ann.cookie.split("=")[0]}=`) && /max-age=0|expires=[^;]*(1970|1969)/i.test(cookie),
    );
    t.refused(await ann.poll("since=now&wait=0"), 401, "no_session");
    t.refused(await ann.say("as a ghost"), 401, "no_session");
    // The contract does not define the reply to a poll held at the log-out, but it must not receive later messages.
    const bob = await t.person();
    await bob.post("not for ghosts");
    const held = await poll;
    t.expect(held, "no message posted after the log-out", !held.body.includes("not for ghosts"));
  },
);
