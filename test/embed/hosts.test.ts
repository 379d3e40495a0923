/** The examples as they are: under a path, beside the host's own routes, with the host's own log-in. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { longPoll } from "../../src/client/index.js";
import { ask, code, FORM, HTML } from "../wire/person.js";
import { launch, printed, type Run } from "../wire/server.js";

const fileOf = (host: string) => fileURLToPath(new URL(`${host}.mjs`, import.meta.url));

/** Runs an example on a free port. */
async function start(host: string): Promise<Run & { readonly url: string }> {
  const run = launch(process.execPath, [fileOf(host)], { env: { ...process.env, PORT: "0" } });
  return { ...run, url: `http://127.0.0.1:${await printed(run, /^listening on (\d+)\n/)}` };
}

/** Logs in at the host. Returns the cookie. */
async function signIn(url: string, name: string): Promise<string> {
  const { headers } = await ask(`${url}/sign-in?name=${encodeURIComponent(name)}`);
  return headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

describe.each(["bare", "express", "fastify", "koa"])("in %s", (host) => {
  let server: Awaited<ReturnType<typeof start>>;
  let url: string;
  let Cookie: string;
  beforeAll(async () => {
    server = await start(host);
    ({ url } = server);
    Cookie = await signIn(url, "Ann");
  });
  afterAll(() => {
    server.child.kill();
  });

  test("the example has at most 30 lines", () => {
    expect(readFileSync(fileOf(host), "utf8").trim().split("\n").length).toBeLessThanOrEqual(30);
  });

  test("the host answers its own routes", async () => {
    expect(await ask(`${url}/`)).toMatchObject({ status: 200, body: "the host's own page" });
    const below = ["chat/login", "chat/logout", "chat/x"];
    for (const path of ["login", "who", "chatroom/Ann/", "chat.css", "chatter", ...below]) {
      const { status, headers } = await ask(`${url}/${path}`, { headers: { Cookie } });
      expect([path, status]).toEqual([path, 404]);
      // Only the chat sends this.
      expect(headers["content-security-policy"] ?? "").not.toContain("form-action");
    }
  });

  test("a caller without the host's log-in gets 401", async () => {
    for (const path of ["", "chatroom/Ann/", "get_post/Ann?since=0", "who"])
      expect(code(await ask(`${url}/chat/${path}`))).toEqual([401, "no_session"]);
    const page = await ask(`${url}/chat/chatroom/Ann/`, { headers: HTML });
    expect(page.status).toBe(401);
    expect(page.body).toContain("Log in to this site first, then come back.");
    expect(page.body).toContain('href="../../"');
  });

  test("a browser gets from /chat to its room, and no link of the page leaves the mount path", async () => {
    const headers = { ...HTML, Cookie };
    let at = `${url}/chat`;
    let reply = await ask(at, { headers });
    for (; reply.headers.location !== undefined; reply = await ask(at, { headers }))
      at = new URL(reply.headers.location, at).href;
    expect(at).toBe(`${url}/chat/chatroom/Ann/`);
    expect(reply.headers["set-cookie"]).toBeUndefined();
    expect(reply.body).not.toContain("logout");
    const links = [...reply.body.matchAll(/(?:href|src|action)="([^"#]+)"/g)].map(([, link = ""]) => link);
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) {
      const target = new URL(link, at).href;
      expect(target.startsWith(`${url}/chat/`)).toBe(true);
      if (!/put_post/.test(link))
        expect([link, (await ask(target, { headers })).status]).toEqual([link, 200]);
    }
  });

  test("two members talk with the client, and a post as a form or as JSON is kept", async () => {
    const base = `${url}/chat/`;
    const ended = new AbortController();
    const join = async (user: string) =>
      longPoll({ base, user, headers: { Cookie: await signIn(url, user) }, signal: ended.signal });
    const [ann, ben] = [await join("Ann"), await join("Ben & Co")];
    const received: string[] = [];
    expect((await ben.batches.next()).value?.messages).toEqual([]);
    await ann.send("hello, 世界");
    for (const [type, body] of [
      [FORM["Content-Type"], "message=as+a+form"],
      ["application/json", '{"message":"as JSON"}'],
    ] as const) {
      const headers = { Cookie, "Content-Type": type };
      expect((await ask(`${base}put_post/Ann`, { method: "POST", headers, body })).status).toBe(200);
    }
    for await (const { messages } of ben.batches) {
      received.push(...messages.flatMap(({ kind, text }) => (kind ? [] : [text])));
      if (received.length === 3) break;
    }
    expect(received).toEqual(["hello, 世界", "as a form", "as JSON"]);
    ended.abort();
  });

  test("SIGTERM answers the held polls, and the process ends", async () => {
    const poll = () => ask(`${url}/chat/get_post/Ann?since=now&wait=60&client=a`, { headers: { Cookie } });
    // One of the two supersedes the other one, so after that reply it is held.
    const polls = [poll(), poll()];
    expect(JSON.parse((await Promise.race(polls)).body)).toMatchObject({ superseded: true });
    server.child.kill();
    const bodies = (await Promise.all(polls)).map(({ body }) => JSON.parse(body));
    expect(bodies.filter(({ retry }) => retry !== undefined)).toHaveLength(1);
    expect(await server.exited).toBe(0);
    expect(server.out.stderr).toBe("");
  });
});
