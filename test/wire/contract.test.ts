/** Single rules of the protocol. */
import { expect, test } from "vitest";
import { chatPerTest } from "./chat.js";
import { ask, code, FORM, Person, texts } from "./person.js";

const start = chatPerTest();

test("a poll by POST takes its fields from the query and the body, the query first", async () => {
  const { url } = await start();
  const ann = await Person.login(url, "ann");
  const one = await ann.post("one");
  await ann.post("two");
  const asked = (path: string, body: string) => ann.ask(path, { method: "POST", headers: FORM, body });
  const inBody = JSON.parse((await asked("get_post/ann", `since=${one}&wait=0`)).body);
  expect(texts(inBody)).toEqual(["two"]);
  const inBoth = JSON.parse((await asked("get_post/ann?since=now", "since=0&wait=0")).body);
  expect(texts(inBoth)).toEqual([]);
  expect(code(await asked("get_post/ann?wait=0", "since=x"))).toEqual([400, "bad_cursor"]);
});

test("a form field can hold the idempotency key, and an empty field counts as no key", async () => {
  const { url } = await start();
  const ann = await Person.login(url, "ann");
  const put = async (body: string): Promise<string> =>
    JSON.parse((await ann.ask("put_post/ann", { method: "POST", headers: FORM, body })).body).id;
  const first = await put("message=a&key=k");
  expect(await put("message=a&key=k")).toBe(first);
  expect(await put("message=c&key=")).not.toBe(await put("message=d&key="));
  expect(await ann.post("a", { "Idempotency-Key": "k" })).toBe(first);
});

test("a draining server answers /healthz and posts with 503, and a poll with a retry time", async () => {
  const { url, chat } = await start();
  const ann = await Person.login(url, "ann");
  const id = await ann.post("before");
  await chat.close();
  for (const reply of [await ask(`${url}/healthz`), await ann.say("too late")]) {
    expect(code(reply)).toEqual([503, "draining"]);
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
    expect(reply.headers.connection).toBe("close");
  }
  const poll = await ann.poll(`since=${id}&wait=60`);
  expect(poll.headers.connection).toBe("close");
  expect(JSON.parse(poll.body)).toMatchObject({ cursor: id, messages: [], retry: expect.any(Number) });
});

test("a JSON body of a poll may have since and wait as numbers, and no other field is one", async () => {
  const { url } = await start();
  const ann = await Person.login(url, "ann");
  const id = await ann.post("hello");
  const headers = { "Content-Type": "application/json" };
  const ask = (path: string, fields: object) =>
    ann.ask(`${path}/ann`, { method: "POST", headers, body: JSON.stringify(fields) });
  const { status, body } = await ask("get_post", { since: 0, wait: 0.5 });
  expect([status, JSON.parse(body).messages[0].id]).toEqual([200, id]);
  expect(code(await ask("get_post", { since: 0, wait: 61 }))).toEqual([400, "bad_request"]);
  expect(code(await ask("get_post", { since: 5, wait: 0 }))).toEqual([400, "bad_cursor"]);
  expect(code(await ask("get_post", { since: 0, client: 5 }))).toEqual([400, "bad_request"]);
  expect(code(await ask("put_post", { message: 5 }))).toEqual([400, "bad_request"]);
  ann.close();
});
