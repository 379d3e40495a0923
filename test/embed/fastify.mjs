/** The chat in Fastify, beside its own routes and behind its own log-in. */
import Fastify from "fastify";
import { createChat } from "../../dist/index.js";
import { signIn, whoIs } from "./sessions.mjs";

const chat = await createChat({ path: "/chat", identify: whoIs });

const app = Fastify();
// Before Fastify reads a body. What is not the chat's goes on, by `done`.
app.addHook("onRequest", (request, reply, done) => chat.handler(request.raw, reply.raw, done));
app.addHook("preClose", () => chat.close());
app.get("/", () => "the host's own page");
app.get("/sign-in", (request, reply) => reply.header("Set-Cookie", signIn(request.query.name)).send());

await app.listen({ port: process.env.PORT ?? 3000 });
console.log(`listening on ${app.server.address().port}`);
process.once("SIGTERM", () => app.close());
