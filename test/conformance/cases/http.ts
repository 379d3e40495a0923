/** HTTP: HEAD, content types, /healthz and /metrics. */
import { readBatch } from "../person.js";
import { about } from "../runner.js";

const { together, alone } = about("HTTP", "Routes");

together("HEAD is wherever there is GET: the same status, no body, at once", async (t) => {
  const ann = await t.person();
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

alone("a HEAD of a poll returns no messages and supersedes no poll", async (t) => {
  const [ann, bob] = [await t.person(), await t.person()];
  const since = await t.quiet(ann, bob);
  const heard = t.hears(bob, since, ["to the poll"], { client: "a", held: true });
  await t.settle();
  await bob.poll(`since=${since}&wait=5&client=a`, { method: "HEAD" });
  await ann.post("to the poll");
  await heard;
});

together("/healthz is 200 and ok", async (t) => {
  const reply = await t.ask("healthz");
  t.equal(reply.sent, [reply.status, reply.body.trim()], [200, "ok"]);
});

together("/metrics is Prometheus text", async (t) => {
  const reply = await t.ask("metrics");
  if (reply.status === 404) return t.notTried("this server has no /metrics");
  const type = reply.headers["content-type"] ?? "";
  t.expect(reply, "200 and text/plain", reply.status === 200 && /^text\/plain|openmetrics/.test(type));
  const isMetric = /^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?|)$/;
  const wrong = reply.body.split("\n").filter((line) => !isMetric.test(line));
  t.equal(`${reply.sent}: lines that are no metric`, wrong, []);
});

together("a JSON reply has the type application/json", async (t) => {
  const ann = await t.person();
  for (const reply of [
    await ann.poll("since=now&wait=0"),
    await ann.say("x"),
    await ann.ask("who"),
    await ann.poll("since=x"),
    await ann.poll(""),
  ]) {
    const type = reply.headers["content-type"] ?? "";
    t.expect(reply, "Content-Type: application/json", /^application\/json\b/.test(type));
  }
  readBatch(await ann.poll("since=now&wait=0", { headers: { Accept: "text/html" } }));
});
