/**
 * Hosts with the chat at /chat, in memory and without rates: `node hosts.mjs bare|express|fastify|koa PORT`. They follow
 * the examples in ../embed. The chat gets no `next`, so it answers every path below /chat itself.
 */
import { createServer } from "node:http";
import express from "express";
import Fastify from "fastify";
import Koa from "koa";
import { createChat } from "../../dist/index.js";

const [, , host, port] = process.argv;
const PAGE = "the host's own page";
// A target may be an absolute URL (RFC 9112, section 3.2.2).
const isChat = (target) => /^(https?:\/\/[^/]*)?\/chat/.test(target);
const OPTIONS = { postRate: 0, loginRate: 0, metrics: true };
const below = () => createChat({ ...OPTIONS, path: "/chat" });

// Longer than the kit's pauses, so that no post meets a closing connection.
const keepAliveTimeout = 75_000;

/** Each function listens and returns a function that stops the host. */
const HOSTS = {
  async bare() {
    const chat = await below();
    const server = createServer({ keepAliveTimeout }, (req, res) => chat.handler(req, res)).listen(
      port,
      "127.0.0.1",
    );
    return () => [server.close(), chat.close()];
  },
  async express() {
    const chat = await createChat(OPTIONS);
    const app = express();
    app.use("/chat", (req, res) => chat.handler(req, res));
    app.get("/", (_req, res) => res.send(PAGE));
    const server = Object.assign(app.listen(port, "127.0.0.1"), { keepAliveTimeout });
    return () => [server.close(), chat.close()];
  },
  async fastify() {
    const chat = await below();
    // Fastify answers a path with broken percent-encoding before any hook.
    const app = Fastify({
      keepAliveTimeout,
      frameworkErrors: (_, request, reply) => chat.handler(request.raw, reply.raw),
    });
    app.addHook("onRequest", (request, reply, done) =>
      isChat(request.url) ? chat.handler(request.raw, reply.raw) : done(),
    );
    app.addHook("preClose", () => chat.close());
    app.get("/", () => PAGE);
    await app.listen({ port, host: "127.0.0.1" });
    return () => app.close();
  },
  async koa() {
    const chat = await below();
    const app = new Koa();
    app.use((ctx) => {
      if (!isChat(ctx.path)) {
        ctx.body = PAGE;
        return;
      }
      ctx.respond = false;
      chat.handler(ctx.req, ctx.res);
    });
    const server = Object.assign(app.listen(port, "127.0.0.1"), { keepAliveTimeout });
    return () => [server.close(), chat.close()];
  },
};

process.once("SIGTERM", await HOSTS[host]());
