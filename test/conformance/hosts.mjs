/**
 * Hosts with the chat at /chat, in memory and without rates: `node hosts.mjs bare|express|fastify|koa`. They follow the
 * examples in ../embed. The chat gets no `next`, so it answers every path below /chat itself.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import express from "express";
import Fastify from "fastify";
import Koa from "koa";
import { createChat } from "../../dist/index.js";

const PAGE = "the host's own page";
// A target may be an absolute URL (RFC 9112, section 3.2.2).
const isChat = (target) => /^(https?:\/\/[^/]*)?\/chat/.test(target);

/** Each function returns a server that listens on a free port. */
const HOSTS = {
  bare: (chat) => createServer((req, res) => chat.handler(req, res)).listen(0, "127.0.0.1"),
  express(chat) {
    const app = express();
    app.use("/chat", (req, res) => chat.handler(req, res));
    app.get("/", (_req, res) => res.send(PAGE));
    return app.listen(0, "127.0.0.1");
  },
  async fastify(chat) {
    // Fastify answers a path with broken percent-encoding before any hook.
    const app = Fastify({ frameworkErrors: (_, request, reply) => chat.handler(request.raw, reply.raw) });
    app.addHook("onRequest", (request, reply, done) =>
      isChat(request.url) ? chat.handler(request.raw, reply.raw) : done(),
    );
    app.get("/", () => PAGE);
    process.once("SIGTERM", () => app.close());
    await app.listen({ port: 0, host: "127.0.0.1" });
    return app.server;
  },
  koa(chat) {
    const app = new Koa();
    app.use((ctx) => {
      if (!isChat(ctx.path)) {
        ctx.body = PAGE;
        return;
      }
      ctx.respond = false;
      chat.handler(ctx.req, ctx.res);
    });
    return app.listen(0, "127.0.0.1");
  },
};

const [, , host] = process.argv;
// Express removes the mount path from `req.url`.
const path = host === "express" ? {} : { path: "/chat" };
const chat = await createChat({ postRate: 0, loginRate: 0, metrics: true, ...path });
const server = await HOSTS[host](chat);
// Longer than the kit's pauses, so that no post meets a closing connection.
server.keepAliveTimeout = 75_000;
if (!server.listening) await once(server, "listening");
console.log(`http://127.0.0.1:${server.address().port}/chat/`);
process.once("SIGTERM", () => {
  void chat.close();
  server.close();
});
