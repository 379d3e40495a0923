/** The poll without `since`, for which the server keeps the cursor. Everybody's messages come by it, so nobody else may talk. */
import { about } from "../runner.js";

const PLAIN = "The long poll: without `since`";
const { cases, add } = about("the poll without a cursor");
export const plain = cases;

add("is answered with the text of the next message, as one JSON string", PLAIN, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const poll = bob.plain();
  await t.settle();
  await ann.post('say "hi"');
  t.equal("a poll without since, held, then a post", await poll, 'say "hi"');
});

add(
  "gives one message at a time, in order, also those posted between two polls",
  PLAIN,
  "alone",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    for (const text of ["one", "two", "three"]) await ann.post(text);
    const heard = [await bob.plain(), await bob.plain({ method: "POST" }), await bob.plain()];
    t.equal("three posts, three polls, the second by POST", heard, ["one", "two", "three"]);
  },
);

add('ends after ten seconds with ""', PLAIN, "quiet", async (t) => {
  const ann = await t.person();
  for (let tries = 0; tries < 5; tries++) {
    const reply = await ann.poll("");
    if (reply.body !== '""' && reply.status === 200) continue;
    t.equal(reply.sent, [reply.status, reply.body], [200, '""']);
    const took = Math.round(reply.took);
    t.expect(reply, "an end after 10 s", took >= 9500 && took < 14_000, `${took} ms`);
    return;
  }
});

add("begins where its user last opened the room", PLAIN, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await ann.post("on the page already");
  t.status(await bob.ask(`chatroom/${bob.segment}/`), 200);
  await ann.post("after the page");
  t.equal("a post, the page, a post, a poll", await bob.plain(), "after the page");
});

add("is not shown who comes and goes", PLAIN, "alone", async (t) => {
  const [ann, bob, cat] = [await t.person(), await t.person(), await t.person()];
  const poll = bob.plain();
  await t.settle();
  await cat.batch("since=now&wait=0");
  await cat.logout();
  await t.settle();
  await ann.post("said");
  t.equal("somebody comes, goes, then a post", await poll, "said");
});

add("loses nothing to a caller that is gone before the message", PLAIN, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const socket = t.site.connect();
  socket.write(`${t.site.head("GET", `get_post/${bob.segment}`, `Cookie: ${bob.cookie}`)}\r\n`);
  await t.settle();
  socket.destroy();
  await t.settle();
  await ann.post("kept");
  t.equal("a poll that was broken off, a post, a poll", await bob.plain(), "kept");
});

add(
  "loses nothing to a connection that is reset in the very moment of the message",
  PLAIN,
  "alone",
  async (t) => {
    // A proxy takes the answer for its caller, and the server cannot know.
    t.direct();
    const [ann, bob] = [await t.person(), await t.person()];
    for (let n = 0; n < 5; n++) {
      const socket = t.site.connect();
      socket.write(`${t.site.head("GET", `get_post/${bob.segment}`, `Cookie: ${bob.cookie}`)}\r\n`);
      await t.settle();
      socket.resetAndDestroy();
      await ann.post(`kept ${n}`);
      t.equal("a poll that is reset while a message is posted, then a poll", await bob.plain(), `kept ${n}`);
    }
  },
);

add("gives a HEAD no message, and takes none for it", PLAIN, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  await ann.post("kept");
  const head = await bob.poll("", { method: "HEAD" });
  t.equal(head.sent, [head.status, head.body], [200, ""]);
  t.equal("a post, a HEAD, a poll", await bob.plain(), "kept");
});

add("and one with a cursor do not move each other", PLAIN, "alone", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await bob.end();
  await ann.post("both ways");
  await t.hears(bob, since, ["both ways"]);
  t.equal("a post, a poll with a cursor, one without", await bob.plain(), "both ways");
  await t.hears(bob, since, ["both ways"]);
});
