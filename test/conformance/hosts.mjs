/**
 * Servers for the tests of the kit, in memory and without rates: `node hosts.mjs bare|express|fastify|koa` has the chat at /chat
 * of that host, and `no-client`, `waiter-map` and `queue` are wrong servers, each holdline with one fault in front.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import express from "express";
import Fastify from "fastify";
import Koa from "koa";
import { createChat } from "../../dist/index.js";

/** Each function returns a request listener that passes requests to the chat. */
const HOSTS = {
  bare: (handler) => handler,
  express: (handler) => express().use("/chat", (req, res) => handler(req, res)),
  async fastify(handler) {
    // Fastify answers a path with broken percent-encoding before any hook.
    const app = Fastify({ frameworkErrors: (_, { raw }, reply) => handler(raw, reply.raw) });
    app.addHook("onRequest", ({ raw }, reply, _done) => handler(raw, reply.raw));
    return (await app.ready()).routing;
  },
  koa: (handler) =>
    new Koa()
      .use((ctx) => {
        ctx.respond = false;
        handler(ctx.req, ctx.res);
      })
      .callback(),
};

/** Splits the target of a poll into the part before `since`, the cursor, and the rest. Undefined for other targets. */
const readPoll = (target) =>
  /^(\/get_post\/[^?]*\?(?:.*&)?since=)(\d+-\d+|0|now)(?![^&])(.*)$/s.exec(target)?.slice(1);

/** The cursor of each user's queue, by the user's path segment. */
const taken = new Map();
/** The users whose poll has disconnected since the last post. */
const dead = new Set();

const FAULTS = {
  /** Ignores `client`, so polls of a reloaded page stay until their time-out. A malformed one stays, and is refused. */
  "no-client": (req) => {
    if (req.url?.startsWith("/get_post/"))
      req.url = req.url.replace(/([?&])client=[\w-]{1,64}(?=&|$)/, "$1x=");
  },

  /** A map of held responses without a backlog: it ignores the cursor and returns only later messages. */
  "waiter-map": (req) => {
    const [before, , behind] = readPoll(req.url ?? "") ?? [];
    if (before !== undefined) req.url = `${before}now${behind}`;
  },

  /**
   * A queue per user, as in many tutorials. A poll empties the queue, also if its caller has disconnected, and a second page
   * misses what the first one took. Only the cursor of the first poll counts.
   */
  queue(req, res) {
    const [before = "", since = "", behind] = readPoll(req.url ?? "") ?? [];
    if (since === "" || req.method !== "GET") return;
    const [, , user = ""] = before.split(/[/?]/);
    req.url = `${before}${taken.get(user) ?? since}${behind}`;
    res.on("close", () => void (res.writableFinished || dead.add(user)));
    const write = res.write.bind(res);
    res.write = (body) => {
      taken.set(user, JSON.parse(String(body)).cursor);
      return write(body);
    };
  },
};

const [, , name = ""] = process.argv;
const fault = FAULTS[name];
const mount = fault ? "" : "/chat";
// Express removes the mount path from `req.url`.
const path = name === "express" ? "" : mount;
const chat = await createChat({ postRate: 0, loginRate: 0, metrics: true, path });
const listener = await (HOSTS[name] ?? HOSTS.bare)((req, res) => {
  fault?.(req, res);
  chat.handler(req, res);
});
// Longer than the kit's pauses, so that no post meets a closing connection.
const server = createServer({ keepAliveTimeout: 75_000 }, listener).listen(0, "127.0.0.1");
await once(server, "listening");
console.log(`http://127.0.0.1:${server.address().port}${mount}/`);
process.once("SIGTERM", () => {
  void chat.close();
  server.close();
});
// A message takes the place of the polls whose callers have disconnected.
for await (const { cursor } of chat.follow()) {
  for (const user of dead) taken.set(user, cursor);
  dead.clear();
}
