/** The chat in Koa, beside its own routes and behind its own log-in. */
import Koa from "koa";
import { createChat } from "../../dist/index.js";
import { signIn, whoIs } from "./sessions.mjs";

const chat = await createChat({ path: "/chat", identify: whoIs });

const app = new Koa();
app.use((ctx, next) => {
  ctx.respond = false;
  // What is not the chat's goes on. That is known at once.
  chat.handler(ctx.req, ctx.res, () => {
    ctx.respond = true;
  });
  return ctx.respond ? next() : undefined;
});
app.use((ctx) => {
  if (ctx.path === "/") ctx.body = "the host's own page";
  if (ctx.path !== "/sign-in") return;
  ctx.set("Set-Cookie", signIn(ctx.query.name));
  ctx.status = 204;
});

const server = app.listen(process.env.PORT ?? 3000, () =>
  console.log(`listening on ${server.address().port}`),
);
process.once("SIGTERM", () => {
  server.close();
  chat.close();
});
