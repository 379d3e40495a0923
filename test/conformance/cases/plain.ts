/** The plain poll, whose cursor is a cookie. It returns the messages of all users, so these cases run alone. */
import type { Socket } from "node:net";
import { textOf } from "../person.js";
import { about } from "../runner.js";

const { quiet, alone } = about("plain polls", "The long poll");

alone("a plain poll returns the text of the next message as one JSON string", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const poll = bob.plain();
  await t.settle();
  await ann.post('say "hi"');
  t.equal("a poll without since, held, then a post", await poll, 'say "hi"');
});

alone("plain polls return one message each, in order, also those posted between two polls", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  for (const text of ["one", "two", "three"]) await ann.post(text);
  const heard = [await bob.plain(), await bob.plain({ method: "POST" }), await bob.plain()];
  t.equal("three posts, three polls, the second by POST", heard, ["one", "two", "three"]);
});

quiet('a plain poll ends after ten seconds with ""', async (t) => {
  const ann = await t.person();
  for (let tries = 0; tries < 5; tries++) {
    const reply = await ann.poll("");
    if (textOf(reply) === "") return t.took(reply, 10_000, 18_000);
  }
});

alone("the first plain poll starts at the log-in", async (t) => {
  const ann = await t.person();
  await ann.post("before the log-in");
  const bob = await t.person();
  await ann.post("after the log-in");
  t.equal("a post, a log-in, a post, a poll", await bob.plain(), "after the log-in");
});

alone("the first plain poll after a page view starts at that view, also with an older cookie", async (t) => {
  // A process knows only its own page views.
  t.single();
  const [ann, bob] = [await t.person(), await t.person()];
  await ann.post("before");
  t.equal("a post, a poll", await bob.plain(), "before");
  await ann.post("on the page already");
  t.status(await bob.ask(`chatroom/${bob.segment}/`), 200);
  await ann.post("after the page");
  t.equal("a post, the page, a post, a poll", await bob.plain(), "after the page");
});

alone("a plain poll returns no notices", async (t) => {
  const [ann, bob, cat] = [await t.person(), await t.person(), await t.person()];
  const poll = bob.plain();
  await t.settle();
  await cat.end();
  await cat.logout();
  await t.settle();
  await ann.post("said");
  t.equal("a user joins and leaves, then a post", await poll, "said");
});

for (const [what, end] of [
  ["reset", (socket: Socket) => socket.resetAndDestroy()],
  ["closed", (socket: Socket) => socket.destroy()],
] as const) {
  alone(`a plain poll whose connection is ${what} loses nothing`, async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    for (let n = 0; n < 5; n++) {
      const socket = t.hold(bob, "");
      await t.settle();
      // In the first round before the message, then in the very moment of the message.
      if (n === 0) {
        end(socket);
        await t.settle();
      }
      const posted = ann.post(`kept ${n}`);
      end(socket);
      await posted;
      const sent = `a poll that is ${what} while a message is posted, then a poll with the cookie from before`;
      t.equal(sent, await bob.plain(), `kept ${n}`);
    }
  });
}

alone("each reply to a plain poll sets the cookie with the next position", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  for (const text of ["one", "two"]) await ann.post(text);
  const reply = await bob.poll("");
  const [cookie = "", ...attributes] = (reply.headers["set-cookie"]?.[0] ?? "").split(/; */);
  const expected = ["httponly", "samesite=lax", ...(t.site.base.protocol === "https:" ? ["secure"] : [])];
  const came = attributes.map((attribute) => attribute.toLowerCase()).filter((one) => !/^path=/.test(one));
  t.equal(`${reply.sent}: the attributes of the cookie, without Max-Age`, came.sort(), expected);
  for (let n = 0; n < 2; n++) {
    const text = await bob.plainWith(cookie);
    t.equal("two posts, a poll, then twice the same poll with the cookie of its answer", text, "two");
  }
});

alone("plain polls with the same cookie get the same text three times and then the next one", async (t) => {
  // A process counts only its own replies.
  t.single();
  const [ann, bob] = [await t.person(), await t.person()];
  for (const text of ["one", "two", "three", "four"]) await ann.post(text);
  t.equal("four posts, a poll", await bob.plain(), "one");
  const [, cookie = ""] = bob.cookies.split("; ");
  const texts: string[] = [];
  for (let n = 0; n < 5; n++) texts.push(await bob.plainWith(cookie));
  t.equal("five polls with the cookie of the first answer", texts, ["two", "two", "two", "three", "four"]);
});

alone("a caller without a cookie gets each text once", async (t) => {
  // A process remembers only its own replies.
  t.single();
  const [ann, bob] = [await t.person(), await t.person()];
  const texts = ["one", "two", "three"];
  for (const text of texts) await ann.post(text);
  const heard: string[] = [];
  for (let n = 0; n < 3; n++) heard.push(await bob.plainWith());
  t.equal("three posts, three polls with the session's cookie only", heard, texts);
});

alone("a plain poll ignores the cookie of another session and a malformed one", async (t) => {
  const [ann, cat, ...others] = [await t.person(), await t.person(), ...(await t.people(4))];
  for (const text of ["one", "two"]) await ann.post(text);
  t.equal("two posts, a poll", await cat.plain(), "one");
  const foreign = cat.cookies.slice(cat.cookie.length + 2);
  const [name = ""] = foreign.split("=");
  for (const cookie of [foreign, `${name}=`, `${name}=.0-0`, `${foreign}x`]) {
    const text = await others.pop()?.plainWith(cookie);
    t.equal(`two posts, and the first poll of somebody with the cookie ${cookie}`, text, "one");
  }
});

alone("a HEAD of a plain poll returns no message and skips none", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await ann.post("kept");
  for (let n = 0; n < 4; n++) {
    const head = await bob.poll("", { method: "HEAD" });
    t.equal(head.sent, [head.status, head.body, head.headers["set-cookie"]], [200, "", undefined]);
  }
  t.equal("a post, four HEADs, a poll", await bob.plain(), "kept");
});

alone("plain polls and polls with a cursor are independent", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  await ann.post("both ways");
  await t.hears(bob, since, ["both ways"]);
  t.equal("a post, a poll with a cursor, one without", await bob.plain(), "both ways");
  await t.hears(bob, since, ["both ways"]);
});
