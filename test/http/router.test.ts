import http from "node:http";
import { describe, expect, test } from "vitest";
import type { Handler } from "../../src/http/router.js";
import { Router } from "../../src/http/router.js";
import { ask, listenRouter } from "./listen.js";

const echo: Handler = ({ params }) => ({ status: 200, body: JSON.stringify(params) });
const say =
  (body: string): Handler =>
  () => ({ status: 200, body });

describe("a path", () => {
  async function routed(path: string, method = "GET") {
    const { port } = await listenRouter({
      "GET /": say("root"),
      "GET /room/:user": say("without slash"),
      "GET /room/:user/": echo,
      "GET /room/:user/:thing": echo,
      "POST /room/:user": say("posted"),
      "GET /room/all/": say("never: an earlier pattern fits"),
      "POST /post": say("post"),
      "GET /字": say("decoded"),
    });
    const { status, body, headers } = await ask(port, path, { method });
    return { status, body: `${body}`, allow: headers.allow };
  }

  test("leads to the handler of its pattern, segment by segment", async () => {
    expect((await routed("/")).body).toBe("root");
    expect((await routed("/?a=/room/b")).body).toBe("root");
    expect((await routed("/room/ann")).body).toBe("without slash");
    expect((await routed("/room/ann", "POST")).body).toBe("posted");
    expect(JSON.parse((await routed("/room/ann/")).body)).toEqual({ user: "ann" });
    expect(JSON.parse((await routed("/room/ann/x")).body)).toEqual({ user: "ann", thing: "x" });
    expect(JSON.parse((await routed("/room/all/")).body)).toEqual({ user: "all" });
  });

  test("is compared decoded, and a slash within a segment does not split it", async () => {
    expect((await routed("/%E5%AD%97")).body).toBe("decoded");
    expect((await routed("/r%6Fom/ann")).body).toBe("without slash");
    expect(JSON.parse((await routed("/room/a%2Fb%3F%20%25/")).body)).toEqual({ user: "a/b? %" });
    expect((await routed("/room%2Fann")).status).toBe(404);
  });

  test("hands on whatever a segment is, __proto__ and NUL too", async () => {
    for (const user of ["__proto__", "constructor", ":user", "..", ".", "\0", "a+b", "😀"]) {
      const { body } = await routed(`/room/${encodeURIComponent(user)}/`);
      expect(JSON.parse(body), user).toEqual({ user });
    }
  });

  test("that is malformed is 400", async () => {
    for (const path of ["/room/%/", "/%zz", "/room/%ff/", "/%c0%af", "/room/%ed%a0%80/", "*"]) {
      expect((await routed(path)).status, path).toBe(400);
    }
  });

  test("that nothing fits is 404; an empty segment fits no parameter, dots are not resolved", async () => {
    for (const path of [
      "/nothing",
      "//",
      "/room",
      "/room/",
      "/room//",
      "/post/",
      "//post",
      "/x/../post",
      "/./post",
    ]) {
      expect((await routed(path)).status, path).toBe(404);
    }
    expect((await routed(`/${"a/".repeat(7000)}`)).status).toBe(404);
    expect((await routed("/__proto__")).status).toBe(404);
  });

  test("with another method is 405 and says which there are", async () => {
    expect(await routed("/", "POST")).toMatchObject({ status: 405, allow: "GET, HEAD" });
    expect(await routed("/post")).toMatchObject({ status: 405, allow: "POST" });
    expect(await routed("/post", "HEAD")).toMatchObject({ status: 405, allow: "POST" });
    const { status, allow } = await routed("/room/ann", "DELETE");
    expect([status, allow?.split(", ").sort()]).toEqual([405, ["GET", "HEAD", "POST"]]);
    expect((await routed("/room/ann", "OPTIONS")).status).toBe(405);
  });

  test("for which there is GET has HEAD, without a body", async () => {
    expect(await routed("/room/ann", "HEAD")).toMatchObject({ status: 200, body: "" });
    expect(await routed("/nothing", "HEAD")).toMatchObject({ status: 404, body: "" });
  });

  test("asked for again, and after thousands of others, leads to the same place with its own parameters", async () => {
    const { port } = await listenRouter({ "GET /room/:user/": echo, "POST /room/:user/": say("posted") });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const get = (user: string, method = "GET") =>
      new Promise<string>((resolve, reject) => {
        const req = http.request(
          { host: "127.0.0.1", port, agent, method, path: `/room/${user}/` },
          (res) => {
            let text = "";
            res.on("data", (chunk) => {
              text += chunk;
            });
            res.on("end", () => resolve(text));
          },
        );
        req.on("error", reject).end();
      });
    expect(JSON.parse(await get("ann"))).toEqual({ user: "ann" });
    for (let n = 0; n < 3000; n++) await get(`user${n}`);
    expect(await get("ann", "POST")).toBe("posted");
    expect(JSON.parse(await get("ann"))).toEqual({ user: "ann" });
    expect(JSON.parse(await get("user2999"))).toEqual({ user: "user2999" });
    agent.destroy();
  });
});

test("a pattern whose first segment is a parameter fits, or is refused when it is set up", async () => {
  const router = new Router({
    bodyLimit: 0,
    trustProxy: false,
    closing: () => false,
    toResponse: () => ({ status: 404 }),
    onError: () => {},
  });
  try {
    router.on("GET", "/:user/room", echo);
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return;
  }
  const { port } = await listenRouter({ "GET /:user/room": echo });
  expect((await ask(port, "/ann/room")).status).toBe(200);
});
