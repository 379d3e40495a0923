/** Rates over the wire: posts per user, log-ins per address, and addresses from a proxy. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { chatPerTest } from "./chat.js";
import { ask, code, FORM, HTML, login, Person, texts } from "./person.js";
import { startServer } from "./server.js";

const start = chatPerTest();
afterEach(() => {
  vi.useRealTimers();
});

describe("the rate", () => {
  test("of posts is per user: a burst of four seconds, then 429 with Retry-After", async () => {
    const { url } = await start({ postRate: 2 });
    const [ann, bob] = [await Person.login(url, "ann"), await Person.login(url, "bob")];
    vi.useFakeTimers({ toFake: ["performance"] });
    for (let n = 0; n < 8; n++) await ann.post(`${n}`);
    const ninth = await ann.say("9");
    expect(code(ninth)).toEqual([429, "slow_down"]);
    expect(ninth.headers["retry-after"]).toBe("1");
    expect((await ann.say("", {})).status).toBe(429);
    await bob.post("not my fault");
    vi.advanceTimersByTime(1000);
    await ann.post("9");
    await ann.post("10");
    expect((await ann.say("11")).status).toBe(429);
    expect(texts(await ann.batch("since=0&wait=0")).filter((text) => text !== "not my fault")).toHaveLength(
      10,
    );
  });

  test("of posts is the same for another spelling of the name, another cookie and refused posts", async () => {
    const { url } = await start({ postRate: 1 });
    const ann = await Person.login(url, "ann");
    vi.useFakeTimers({ toFake: ["performance"] });
    for (let n = 0; n < 4; n++) expect((await ann.say("")).status).toBe(422);
    const again = await login(url, "ANN", { Cookie: ann.cookie });
    ann.cookie = again.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    expect((await ann.say("x")).status).toBe(429);
    const other = { method: "POST", headers: FORM, body: "message=x" };
    expect((await ann.ask("put_post/ANN", other)).status).toBe(429);
  });

  test("of log-ins is per address, for successful and refused ones", async () => {
    const { url } = await start({ loginRate: 0.5 });
    vi.useFakeTimers({ toFake: ["performance"] });
    expect((await login(url, "ann")).status).toBe(303);
    expect((await login(url, "a/b")).status).toBe(422);
    const third = await login(url, "bob", {
      "X-Forwarded-For": "198.51.100.1",
      Forwarded: "for=198.51.100.1",
    });
    expect(code(third)).toEqual([429, "slow_down"]);
    expect(third.headers["retry-after"]).toBe("2");
    // Reading the form is not a log-in.
    expect((await ask(`${url}/login`)).status).toBe(200);
    vi.advanceTimersByTime(2000);
    expect((await login(url, "bob")).status).toBe(303);
  });

  test("of log-ins shows a browser the form with the typed name and the waiting time", async () => {
    const { url } = await start({ loginRate: 0.1 });
    vi.useFakeTimers({ toFake: ["performance"] });
    await login(url, "ann");
    const reply = await login(url, "bob", HTML);
    expect([reply.status, reply.headers["content-type"]]).toEqual([429, "text/html; charset=utf-8"]);
    expect(reply.headers["retry-after"]).toBe("10");
    expect(reply.body).toContain('name="name"');
  });

  test("of log-ins behind a trusted proxy uses the last hop, and an IPv6 /64 network counts as one address", async () => {
    const { url } = await start({ loginRate: 0.001, trustProxy: true });
    let n = 0;
    const from = async (hops: string) => (await login(url, `n${n++}`, { "X-Forwarded-For": hops })).status;
    expect(await from("203.0.113.7")).toBe(303);
    expect(await from("203.0.113.7")).toBe(429);
    expect(await from("198.51.100.1, 203.0.113.7")).toBe(429);
    expect(await from("::ffff:203.0.113.7")).toBe(429);
    expect(await from("203.0.113.7, 198.51.100.1")).toBe(303);
    expect(await from("2001:db8:1:2::1")).toBe(303);
    expect(await from("2001:db8:1:2:ffff:ffff:ffff:ffff")).toBe(429);
    expect(await from("2001:db8:1:3::1")).toBe(303);
  });

  test("of log-ins is the same for all spellings of an address, with or without a port", async () => {
    for (const spellings of [
      [
        "198.51.100.8:40001",
        "198.51.100.8:40002",
        "198.51.100.8",
        "::ffff:198.51.100.8",
        "[::FFFF:c633:6408]:1",
      ],
      ["[2001:db8::1]:443", "[2001:db8::2]", "2001:DB8:0::1", "2001:0db8:0000:0:1::", "2001:db8::1%eth0"],
    ]) {
      const { url } = await start({ loginRate: 0.001, trustProxy: true });
      const from = async (hop: string) =>
        (await login(url, "ann", { "X-Forwarded-For": `192.0.2.1, ${hop}` })).status;
      const statuses = [];
      for (const hop of spellings) statuses.push(await from(hop));
      expect(statuses).toEqual([303, 429, 429, 429, 429]);
      expect(await from("198.51.100.9:40001")).toBe(409);
    }
  });

  test("of log-ins uses the connection's address if X-Forwarded-For is malformed", async () => {
    const { url } = await start({ loginRate: 0.001, trustProxy: true });
    const hops = [
      "unknown",
      "",
      "198.51.100.8:x",
      "198.51.100.8:1:2",
      "[198.51.100.8",
      "[]:1",
      "1.2.3",
      "_a",
    ];
    const statuses = [];
    for (const hop of ["127.0.0.1", ...hops, "\xff", "%".repeat(8000)]) {
      statuses.push((await login(url, "ann", { "X-Forwarded-For": hop })).status);
    }
    expect(statuses).toEqual([303, ...statuses.slice(1).map(() => 429)]);
  });

  test("follows the program's flags, and X-Forwarded-For is ignored without --trust-proxy", async () => {
    const server = await startServer("--post-rate", "0.001", "--login-rate", "0.001");
    const ann = await Person.login(server.url, "ann");
    const headers = { "X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https" };
    expect((await login(server.url, "bob", headers)).status).toBe(429);
    expect(await ann.say("a").then((reply) => reply.status)).toBe(200);
    // At most a thousand seconds, less the time that the test took.
    expect(Number((await ann.say("b")).headers["retry-after"])).toBeGreaterThan(500);
    await server.stop();
    const trusting = await startServer("--trust-proxy", "--login-rate", "0.001");
    expect((await login(trusting.url, "a", { "X-Forwarded-For": "198.51.100.1" })).status).toBe(303);
    expect((await login(trusting.url, "b", { "X-Forwarded-For": "198.51.100.2" })).status).toBe(303);
    expect((await login(trusting.url, "c", { "X-Forwarded-For": "198.51.100.2" })).status).toBe(429);
    await trusting.stop();
  });
});

test("the cookie is Secure only if a trusted proxy reports TLS", async () => {
  const cookie = async (url: string, name: string, proto: string) =>
    (await login(url, name, { "X-Forwarded-Proto": proto })).headers["set-cookie"]?.[0];
  const trusting = await start({ trustProxy: true });
  expect(await cookie(trusting.url, "a", "https")).toMatch(/; HttpOnly; SameSite=Lax; Secure$/);
  expect(await cookie(trusting.url, "b", "http, https")).toMatch(/; Secure$/);
  expect(await cookie(trusting.url, "e", "HTTPS")).toMatch(/; Secure$/);
  expect(await cookie(trusting.url, "c", "https, http")).toMatch(/; SameSite=Lax$/);
  expect(await cookie(trusting.url, "d", "http")).toMatch(/; SameSite=Lax$/);
  const wary = await start();
  expect(await cookie(wary.url, "a", "https")).toMatch(/; SameSite=Lax$/);
});
