/** Handlers over real sockets: every request ends exactly once, whatever a handler does. */
import { once } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { DEFERRED, HttpError, send } from "../../src/http/response.js";
import type { Handler } from "../../src/http/router.js";
import { ask, awaited, dial, listenRouter, raw } from "./listen.js";

const say =
  (body: string): Handler =>
  () => ({ status: 200, body });

describe("a handler", () => {
  const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const boom = () => {
    throw new Error("secret detail");
  };

  test("may answer at once, later, or take it upon itself", async () => {
    const { port } = await listenRouter({
      "GET /now": say("now"),
      "GET /later": async () => ({ status: 200, body: "later" }),
      "GET /held": ({ res }) => {
        setImmediate(() => send(res, { status: 200, body: "held" }));
        return DEFERRED;
      },
    });
    for (const body of ["now", "later", "held"]) expect(`${(await ask(port, `/${body}`)).body}`).toBe(body);
  });

  test("may refuse, now or later, with its own headers", async () => {
    const slow = () => {
      throw new HttpError(429, "slow_down", "Slow down.", { "Retry-After": "3" });
    };
    const { port } = await listenRouter({ "GET /now": slow, "GET /later": async () => slow() });
    for (const path of ["/now", "/later"]) {
      const { status, headers, body } = await ask(port, path);
      expect([status, headers["retry-after"], `${body}`]).toEqual([429, "3", "slow_down"]);
    }
  });

  test("that throws, now or later, is a 500 that tells nothing, and the log is told", async () => {
    const { port, failures } = await listenRouter({ "GET /now": boom, "GET /later": async () => boom() });
    for (const path of ["/now", "/later"]) {
      const { status, body } = await ask(port, path);
      expect([status, `${body}`]).toEqual([500, expect.not.stringContaining("secret")]);
    }
    expect(failures).toHaveLength(2);
  });

  test("that throws something that is no error is a 500 too", async () => {
    const { port } = await listenRouter({
      "GET /": () => {
        throw undefined;
      },
      "GET /later": () => Promise.reject(null),
    });
    expect((await ask(port, "/")).status).toBe(500);
    expect((await ask(port, "/later")).status).toBe(500);
  });

  test("that throws after the head of its reply closes the connection: the reply is cut off, not made up", async () => {
    const begun: Handler = ({ res }) => {
      res.writeHead(200, { "Content-Length": 100 }).write("begun");
      throw new Error("in the middle");
    };
    const { port, failures } = await listenRouter({ "GET /now": begun, "GET /later": async (r) => begun(r) });
    for (const path of ["/now", "/later"]) {
      await expect(ask(port, path)).rejects.toMatchObject({ code: "ECONNRESET" });
    }
    expect(failures).toHaveLength(2);
  });

  test("whose reply cannot be sent, now or later, is a 500, and nothing is left unhandled", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const broken = { status: 200, headers: { Location: "a\r\nSet-Cookie: b" } };
    const { port, failures } = await listenRouter({
      "GET /now": () => broken,
      "GET /later": async () => broken,
    });
    try {
      expect((await ask(port, "/now")).status).toBe(500);
      const later = ask(port, "/later").then(({ status }) => status);
      // Whichever comes first, so that a request without an end fails this test instead of hanging it.
      const lost = new Promise<string>((resolve) => unhandled.mockImplementation(() => resolve("unhandled")));
      expect(await Promise.race([later, lost])).toBe(500);
      expect(failures).toHaveLength(2);
    } finally {
      process.off("unhandledRejection", unhandled);
    }
  });

  test("may refuse although refusals cannot be made: that is a 500, now or later", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const no = () => {
      throw new HttpError(403, "no", "No.");
    };
    const { port } = await listenRouter(
      { "GET /now": no, "GET /later": async () => no() },
      { toResponse: boom },
    );
    try {
      expect((await ask(port, "/now")).status).toBe(500);
      expect((await ask(port, "/nothing")).status).toBe(500);
      const later = ask(port, "/later").then(({ status }) => status);
      const lost = new Promise<string>((resolve) => unhandled.mockImplementation(() => resolve("unhandled")));
      expect(await Promise.race([later, lost])).toBe(500);
    } finally {
      process.off("unhandledRejection", unhandled);
    }
  });

  test("whose client went away during the body has nothing to answer, and that is no fault", async () => {
    const read = awaited<unknown>();
    const arrived = awaited();
    const { port, failures } = await listenRouter({
      "POST /": async (request) => {
        arrived.resolve();
        const form = request.form();
        form.catch(read.resolve);
        await form;
        return { status: 200 };
      },
      "GET /": say("still here"),
    });
    const socket = await dial(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\na=");
    await arrived.promise;
    socket.destroy();
    expect(await read.promise).toMatchObject({ status: 400 });
    expect(`${(await ask(port, "/")).body}`).toBe("still here");
    expect(failures).toEqual([]);
  });

  test("whose client went away before the answer, even a failed one, hurts nobody", async () => {
    const arrived = awaited();
    const { port, failures } = await listenRouter({
      "GET /": async ({ res }) => {
        arrived.resolve();
        await once(res, "close");
        throw new Error("too late");
      },
      "GET /other": say("still here"),
    });
    const socket = await dial(port, get);
    await arrived.promise;
    socket.destroy();
    expect(`${(await ask(port, "/other")).body}`).toBe("still here");
    expect(failures).toHaveLength(1);
  });

  test("that reads no body leaves the connection good for the next request", async () => {
    const { port } = await listenRouter({
      "POST /": () => {
        throw new HttpError(403, "no", "No.");
      },
      "GET /": say("next"),
    });
    const body = "x".repeat(20_000);
    const answers = await raw(
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}${get}`,
    );
    expect(answers).toMatch(/^HTTP\/1.1 403 .*HTTP\/1.1 200 .*next$/s);
  });
});

test("when the server is about to stop, each reply closes its connection, a refusal and a 500 too", async () => {
  const { port } = await listenRouter(
    {
      "GET /reply": say("bye"),
      "GET /later": async () => ({ status: 200 }),
      "GET /boom": () => {
        throw new Error("boom");
      },
    },
    { closing: () => true },
  );
  for (const path of ["/reply", "/later", "/nothing", "/boom"]) {
    const { headers } = await ask(port, path, { headers: { Connection: "keep-alive" } });
    expect(headers.connection, path).toBe("close");
  }
});
