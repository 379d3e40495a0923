/** HEAD changes nothing: no name and no cookie. Presence, notices, cursors and polls are in the kit. */
import { afterEach, expect, test, vi } from "vitest";
import { chatPerTest, roomPerTest } from "./chat.js";
import { ask, login } from "./person.js";

const [start, startEmpty] = [roomPerTest(), chatPerTest()];
afterEach(() => {
  vi.useRealTimers();
});

const PATHS = [
  ...["", "who", "chatroom/ann/", "chatroom/ann/?still", "get_post/ann", "healthz", "chat.css"],
  "get_post/ann?since=now&wait=60&client=a",
];

test("a HEAD renews no cookie", async () => {
  const { ann } = await start();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(Date.now() + 2 * 24 * 3600 * 1000);
  for (const path of [...PATHS, "login"]) {
    const { headers } = await ann.ask(path, { method: "HEAD" });
    expect([path, headers["set-cookie"]]).toEqual([path, undefined]);
  }
  expect((await ann.ask("who")).headers["set-cookie"]).toHaveLength(1);
});

test("a HEAD claims no name after a restart", async () => {
  const secrets: [string] = ["kept"];
  const { ann } = await start({ secrets });
  const after = await startEmpty({ secrets });
  const home = async (method: string) => (await ann.at(after).ask("", { method })).headers.location;
  // The cookie is still valid. A GET would claim the name.
  expect(await home("HEAD")).toBe("chatroom/ann/");
  expect((await login(after.url, "ann")).status).toBe(303);
  expect(await home("HEAD")).toBe("login");
});

test("a HEAD changes nothing behind a host's log-in", async () => {
  const { url, chat } = await startEmpty({ identify: ({ headers }) => String(headers["x-user"]) });
  for (const path of PATHS) await ask(`${url}/${path}`, { method: "HEAD", headers: { "X-User": "ann" } });
  expect(chat.present).toEqual([]);
  const reply = await ask(`${url}/get_post/bob?since=0&wait=0`, { headers: { "X-User": "bob" } });
  expect(reply.body).not.toContain("ann");
});

test("a HEAD returns the head of GET, also for a poll", async () => {
  const { ann } = await start();
  await ann.batch("since=0&wait=0");
  const { date: _, ...expected } = (await ann.poll("since=0&wait=0")).headers;
  const head = await ann.poll("since=0&wait=0", { method: "HEAD" });
  expect(head.headers).toMatchObject(expected);
});
