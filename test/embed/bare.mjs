/** The chat in a server on bare node:http, beside its own routes and behind its own log-in. */
import { createServer } from "node:http";
import { createChat } from "../../dist/index.js";
import { signIn, whoIs } from "./sessions.mjs";

const chat = await createChat({ path: "/chat", identify: whoIs });

function host(req, res) {
  const url = new URL(req.url, "http://host");
  if (url.pathname === "/sign-in") res.setHeader("Set-Cookie", signIn(url.searchParams.get("name")));
  else if (url.pathname !== "/") res.statusCode = 404;
  res.end("the host's own page");
}

// What is not the chat's goes on to the host.
const server = createServer((req, res) => chat.handler(req, res, () => host(req, res)));
server.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
process.once("SIGTERM", () => {
  server.close();
  chat.close();
});
