/** Behind a real nginx: with its defaults, and with the recommended configuration, behind which the conformance kit runs, too. */
import { afterEach, expect, test } from "vitest";
import { readBatch } from "../conformance/person.js";
import { HOST, login, Person, texts } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { DEFAULTS, KEEP_ALIVE, type Nginx, startNginx } from "./nginx.js";

let server: Server;
let nginx: Nginx;
async function start(location: string, ...flags: string[]): Promise<void> {
  server = await startServer(...flags);
  nginx = await startNginx(server.port, location);
}
afterEach(async () => {
  await nginx.stop();
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});

test.each([
  ["its defaults", DEFAULTS],
  ["the recommended configuration", KEEP_ALIVE],
])(
  "behind nginx with %s, a poll that is aborted frees its slot, and the next one gets a message",
  async (_, location) => {
    await start(location, "--max-waiters", "1");
    const ann = await Person.login(nginx.url, "ann");
    for (let n = 0; n < 20; n++) {
      const gone = new AbortController();
      const poll = ann.hold("since=now&wait=60", { signal: gone.signal });
      await ann.full();
      gone.abort();
      await expect(poll).rejects.toThrow();
    }
    const poll = ann.hold("since=now&wait=60");
    await ann.full();
    await ann.post("你好");
    expect(texts(readBatch(await poll))).toEqual(["你好"]);
  },
);

test("behind nginx with its defaults, a post of a current browser is kept, and one of an old browser is a 403", async () => {
  await start(DEFAULTS, "--trust-proxy");
  const ann = await Person.login(nginx.url, "ann");
  const say = async (headers: Record<string, string>) => (await ann.say("x", headers)).status;
  const Origin = `http://${HOST}`;
  expect(await say({ "Sec-Fetch-Site": "same-origin", Origin })).toBe(200);
  // The server does not get the name that the browser knows.
  expect(await say({ Origin })).toBe(403);
});

test("behind the recommended nginx, a cookie is Secure, and a forged address of a caller is ignored", async () => {
  await start(KEEP_ALIVE, "--trust-proxy", "--login-rate", "0.001");
  const from = (address: string) => login(nginx.url, "ann", { "X-Forwarded-For": address });
  const { status, headers } = await from("198.51.100.1");
  expect([status, headers["set-cookie"]?.[0]]).toEqual([303, expect.stringMatching(/; Secure$/)]);
  expect((await from("198.51.100.2")).status).toBe(429);
});
