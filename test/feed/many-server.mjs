// A server of a feed. Its parent asks it to push, and to say when so many polls are held.
import { createServer } from "node:http";
import { Feed, longPollHandler } from "../../dist/feed/index.js";

const feed = new Feed();
const server = createServer({ keepAliveTimeout: 60_000 }, longPollHandler(feed));
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => process.send(server.address().port));

process.on("message", ({ push, held }) => {
  if (push !== undefined) feed.push(push);
  if (held === undefined) return;
  const timer = setInterval(() => {
    if (feed.waiting !== held) return;
    clearInterval(timer);
    process.send("held");
  }, 5);
});
process.on("disconnect", () => process.exit());
