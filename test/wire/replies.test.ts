/** Malformed requests, requests with two Host headers, and replies to our forms in browsers with `Accept: any type`. */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { chatPerTest, roomPerTest } from "./chat.js";
import { ask, FORM, Person, type Reply, texts } from "./person.js";
import { get, hear, post } from "./raw.js";
import { startServer } from "./server.js";

const [start, startEmpty] = [roomPerTest(), chatPerTest()];

test("the program's replies to malformed requests may not be sniffed", async () => {
  const server = await startServer();
  const get = "GET /healthz HTTP/1.1\r\nConnection: close\r\n";
  for (const [bytes, status] of [
    ["nonsense\r\n\r\n", 400],
    ["GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    [`${get}Host: x\r\nX: ${"x".repeat(17_000)}\r\n\r\n`, 431],
    [`${get}\r\n`, 400],
    [`${get}Host: x\r\nExpect: x\r\n\r\n`, 200],
  ] as const) {
    const { statuses, text } = await hear(server.port, bytes);
    expect([bytes.slice(0, 60), statuses]).toEqual([bytes.slice(0, 60), [status]]);
    expect(text.toLowerCase()).toContain("\r\nx-content-type-options: nosniff\r\n");
  }
  await server.stop();
});

describe("a request with two Host headers", () => {
  test.each([["Host: x"], ["hOST: evil.test"], ["Host:"]])(
    "of which one is %j is 400, closes the connection and changes nothing",
    async (host) => {
      const { port, ann } = await start();
      const said = post("/put_post/ann", "message=x", host, `Cookie: ${ann.cookie}`);
      const { statuses, text } = await hear(port, said + said);
      expect(statuses).toEqual([400]);
      expect(text).toContain('"bad_request"');
      expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
    },
  );

  test("belongs to the host for a path outside the chat", async () => {
    const { port } = await startEmpty({
      path: "/chat",
      wrap: (handler) => (req, res) => handler(req, res, () => res.end("the host's")),
    });
    const two = ["Host: y", "Connection: close"];
    expect((await hear(port, get("/chat/who", ...two))).statuses).toEqual([400]);
    expect((await hear(port, get("/elsewhere", ...two))).text).toContain("the host's");
  });

  test("differs from HTTP/1.0 without a Host header", async () => {
    const server = await startServer();
    const zero = "GET /healthz HTTP/1.0\r\n";
    expect((await hear(server.port, `${zero}\r\n`)).statuses).toEqual([200]);
    expect((await hear(server.port, `${zero}Host: x\r\nHost: x\r\n\r\n`)).statuses).toEqual([400]);
    await server.stop();
  });
});

describe("a form of our pages in a browser that sends Accept: */*", () => {
  const ANY = { Accept: "*/*" };
  /** Returns the actions of the forms in a page, relative to the chat's root. */
  const actions = ({ body }: Reply) =>
    [...body.matchAll(/<form [^>]*action="(?:\.\.\/)*([^"]+)"/g)].map(([, action = ""]) => action);
  const isPage = ({ headers, body }: Reply) =>
    headers["content-type"] === "text/html; charset=utf-8" && body.startsWith("<!doctype html>");

  test("redirects after success", async () => {
    const { url } = await start();
    expect(actions(await ask(`${url}/login`))).toEqual(["login?page"]);
    const [action = ""] = actions(await ask(`${url}/login`));
    const headers = { ...FORM, ...ANY };
    const reply = await ask(`${url}/${action}`, { method: "POST", headers, body: "name=Ann+B" });
    expect([reply.status, reply.headers.location]).toEqual([303, "chatroom/Ann%20B/"]);
    const ann = Person.of(url, "Ann B", reply);
    const [logout = "", say = ""] = actions(await ann.ask("chatroom/Ann%20B/"));
    expect([logout, say]).toEqual(["logout?page", "put_post/Ann%20B?page"]);
    const said = await ann.send(say, "message=x", ANY);
    expect([said.status, said.headers.location]).toEqual([303, "../chatroom/Ann%20B/"]);
    expect((await ann.send(logout, "", ANY)).headers.location).toBe("login");
  });

  test("gets a page with the reason when it is refused", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const { ann } = await start({ loginRate: 1.25, postRate: 0.5 });
    const foreign = { "Sec-Fetch-Site": "cross-site" };
    for (const [status, path, body, headers] of [
      [409, "login?page", "name=ann", { Cookie: "" }],
      [422, "login?page", "name=a/b", { Cookie: "" }],
      [303, "login?page", "name=x", { Cookie: "" }],
      [429, "login?page", "name=y", { Cookie: "" }],
      [403, "login?page", "name=z", foreign],
      [403, "logout?page", "", foreign],
      [401, "put_post/ann?page", "message=x", { Cookie: "" }],
      [403, "put_post/bob?page", "message=x", {}],
      [415, "put_post/ann?page", "message=x", { "Content-Type": "text/plain" }],
      [422, "put_post/ann?page", "message=", {}],
      [422, "put_post/ann?page", "message=%00", {}],
      [429, "put_post/ann?page", "message=x", {}],
      [401, "get_post/ann?page&since=0", "", { Cookie: "", Accept: "application/json" }],
    ] as const) {
      const reply = await ann.send(path, body, { ...ANY, ...headers });
      expect([path, reply.status, isPage(reply)]).toEqual([path, status, status !== 303]);
    }
  });

  test("differs from a script, which gets JSON", async () => {
    const { url } = await start();
    const { headers } = await ask(`${url}/put_post/ann?pages`, { method: "POST", headers: ANY });
    expect(headers["content-type"]).toBe("application/json");
  });
});
