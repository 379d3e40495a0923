// The core alone: a feed over HTTP, and a POST that pushes.
import { createServer } from "node:http";
import { Feed, longPollHandler } from "../../../dist/feed/index.js";

const feed = new Feed({ backlog: 10_000, maxWaiters: 20_000 });
const poll = longPollHandler(feed);

const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) =>
  poll(req, res, () => {
    let text = "";
    req.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    req.on("end", () => {
      feed.push({ user: "user-0", text: new URLSearchParams(text).get("message"), at: Date.now() });
      res.end("{}");
    });
  }),
);
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
