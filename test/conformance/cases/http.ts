/** HTTP: HEAD, content types, /healthz and /metrics. */
import { readBatch } from "../person.js";
import { about } from "../runner.js";

const { cases, add } = about("HTTP");
export const http = cases;

add(
  "HEAD is wherever there is GET: the same status, no body, at once",
  "Routes: HEAD wherever there is GET",
  "together",
  async (t) => {
    const ann = await t.person();
    const since = await ann.end();
    const room = `chatroom/${ann.segment}`;
    const poll = `get_post/${ann.segment}`;
    for (const [path, status] of [
      ["", 303],
      ["login", 200],
      [room, 308],
      [`${room}/`, 200],
      ["who", 200],
      ["healthz", 200],
      [`${poll}?since=0&wait=20`, 200],
      [`${poll}?since=${since}&wait=20`, 200],
      [poll, 200],
      [`${poll}?since=x`, 400],
      ["nothing", 404],
    ] as const) {
      const head = await ann.ask(path, { method: "HEAD" });
      t.equal(head.sent, [head.status, head.body], [status, ""]);
      t.expect(head, "an answer that does not wait", head.took < 8000, `${Math.round(head.took)} ms`);
    }
  },
);

add(
  "a HEAD of a poll returns no messages and supersedes no poll",
  "Routes: HEAD wherever there is GET",
  "alone",
  async (t) => {
    const [ann, bob] = [await t.person(), await t.person()];
    const since = await t.quiet(ann, bob);
    const heard = t.hears(bob, since, ["to the poll"], { client: "a", held: true });
    await t.settle();
    await bob.poll(`since=${since}&wait=5&client=a`, { method: "HEAD" });
    await ann.post("to the poll");
    await heard;
  },
);

add("/healthz is 200 and ok", "Routes: GET /healthz", "together", async (t) => {
  const reply = await t.ask("healthz");
  t.equal(reply.sent, [reply.status, reply.body.trim()], [200, "ok"]);
});

add("/metrics is Prometheus text", "Routes: GET /metrics", "together", async (t) => {
  const reply = await t.ask("metrics");
  if (reply.status === 404) return t.notTried("this server has no /metrics");
  t.expect(
    reply,
    "200 and text/plain",
    reply.status === 200 && /^text\/plain|openmetrics/.test(reply.headers["content-type"] ?? ""),
  );
  const wrong = reply.body
    .split("\n")
    .filter((line) => !/^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?|)$/.test(line));
  t.equal(`${reply.sent}: lines that are no metric`, wrong, []);
});

add("a JSON reply has the type application/json", "The long poll; Posting", "together", async (t) => {
  const ann = await t.person();
  for (const reply of [
    await ann.poll("since=now&wait=0"),
    await ann.say("x"),
    await ann.ask("who"),
    await ann.poll("since=x"),
    await ann.poll(""),
  ]) {
    t.expect(
      reply,
      "Content-Type: application/json",
      /^application\/json\b/.test(reply.headers["content-type"] ?? ""),
    );
  }
  readBatch(await ann.poll("since=now&wait=0", { headers: { Accept: "text/html" } }));
});
