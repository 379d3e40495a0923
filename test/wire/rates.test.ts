/** Rates over the wire: posts per user, log-ins per address, and what a proxy reports. */
import { beforeEach, expect, test, vi } from "vitest";
import { start, startRoom } from "./chat.js";
import { ask, code, cookieOf, HTML, login, Person, texts } from "./person.js";
import { startServer } from "./server.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});

/** Logs in from an address that a proxy reports. Returns the status. */
const from = async (url: string, hops: string, name = "ann") =>
  (await login(url, name, { "X-Forwarded-For": hops })).status;

test("the rate of posts is per user: a burst of four seconds, then 429 with Retry-After", async () => {
  const { ann, bob } = await startRoom({ postRate: 2 });
  for (let n = 0; n < 8; n++) await ann.post(`${n}`);
  const ninth = await ann.say("9");
  expect([...code(ninth), ninth.headers["retry-after"]]).toEqual([429, "slow_down", "1"]);
  expect((await ann.say("")).status).toBe(429);
  await bob.post("not my fault");
  vi.advanceTimersByTime(1000);
  for (const text of ["9", "10"]) await ann.post(text);
  expect((await ann.say("11")).status).toBe(429);
  expect(texts(await ann.batch("since=0&wait=0"))).toHaveLength(11);
});

test("the rate of posts is the same for another spelling of the name, another cookie and refused posts", async () => {
  const { url, ann } = await startRoom({ postRate: 1 });
  for (let n = 0; n < 4; n++) expect((await ann.say("")).status).toBe(422);
  ann.cookie = cookieOf(await login(url, "ANN", { Cookie: ann.cookie }));
  expect((await ann.say("x")).status).toBe(429);
  expect((await ann.send("put_post/ANN", "message=x")).status).toBe(429);
});

test("the rate of log-ins is per address, for successful and refused ones", async () => {
  const { url } = await start({ loginRate: 0.5 });
  expect((await login(url, "ann")).status).toBe(303);
  expect((await login(url, "a/b")).status).toBe(422);
  const forged = { "X-Forwarded-For": "198.51.100.1", Forwarded: "for=198.51.100.1" };
  const third = await login(url, "bob", forged);
  expect([...code(third), third.headers["retry-after"]]).toEqual([429, "slow_down", "2"]);
  // A browser gets the form, and reading it is not a log-in.
  const page = await login(url, "bob", HTML);
  expect([page.status, page.headers["retry-after"]]).toEqual([429, "2"]);
  expect(page.body).toContain('name="name"');
  expect((await ask(`${url}/login`)).status).toBe(200);
  vi.advanceTimersByTime(2000);
  expect((await login(url, "bob")).status).toBe(303);
});

test("the rate of log-ins behind a trusted proxy is that of the last hop, or of the connection if it is malformed", async () => {
  const { url } = await start({ loginRate: 0.001, trustProxy: true });
  let n = 0;
  for (const [hops, status] of [
    ["203.0.113.7", 303],
    ["203.0.113.7:40001", 429],
    ["198.51.100.1, ::ffff:203.0.113.7", 429],
    ["203.0.113.7, 198.51.100.1", 303],
    ["2001:db8:1:2::1", 303],
    ["[2001:DB8:1:2::7]:443", 429],
    ["127.0.0.1", 303],
    ...["unknown", "", "198.51.100.8:x", "\xff", "%".repeat(8000)].map((hops) => [hops, 429] as const),
  ] as const)
    expect([hops, await from(url, hops, `n${n++}`)]).toEqual([hops, status]);
});

test("the program's flags set the rates, and X-Forwarded-For is ignored without --trust-proxy", async () => {
  const server = await startServer("--post-rate", "0.001", "--login-rate", "0.001");
  const ann = await Person.login(server.url, "ann");
  expect(await from(server.url, "198.51.100.1", "bob")).toBe(429);
  expect((await ann.say("a")).status).toBe(200);
  // At most a thousand seconds, less the time that the test took.
  expect(Number((await ann.say("b")).headers["retry-after"])).toBeGreaterThan(500);
  await server.stop();
  const trusting = await startServer("--trust-proxy", "--login-rate", "0.001");
  for (const [n, status] of [303, 303, 429].entries())
    expect(await from(trusting.url, `198.51.100.${Math.min(n, 1)}`, `n${n}`)).toBe(status);
  await trusting.stop();
});

test("the cookie is Secure if the last hop of a trusted proxy is over https", async () => {
  for (const [proto, trustProxy, isSecure] of [
    ["http, https", true, true],
    ["HTTPS", true, true],
    ["https, http", true, false],
    ["https", false, false],
  ] as const) {
    const { url } = await start({ trustProxy });
    const [cookie] = (await login(url, "ann", { "X-Forwarded-Proto": proto })).headers["set-cookie"] ?? [];
    expect([proto, cookie]).toEqual([proto, expect.stringMatching(isSecure ? /Lax; Secure$/ : /Lax$/)]);
  }
});
