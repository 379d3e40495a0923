/** The chat in Express, beside its own routes and behind its own log-in. */
import express from "express";
import { createChat } from "../../dist/index.js";
import { signIn, whoIs } from "./sessions.mjs";

// No `path`: Express takes it off.
const chat = await createChat({ identify: whoIs });

const app = express();
// The chat takes what these have read; without them it reads for itself.
app.use(express.urlencoded(), express.json());
app.use("/chat", chat.handler);
app.get("/", (_req, res) => res.send("the host's own page"));
app.get("/sign-in", (req, res) => res.set("Set-Cookie", signIn(req.query.name)).end());

const server = app.listen(process.env.PORT ?? 3000, () =>
  console.log(`listening on ${server.address().port}`),
);
process.once("SIGTERM", () => {
  server.close();
  chat.close();
});
