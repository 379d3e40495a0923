// What node:http itself costs: an array, a Set of held responses, one shared body a broadcast. No sessions, no names,
// no timers, no limits. Cursors are places in the array.
import { createServer } from "node:http";

const said = [];
let held = new Set();

const after = (since) => `{"cursor":"${said.length}","messages":[${said.slice(since).join(",")}]}`;
const reply = (res, body) => {
  res.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  res.end(body);
};

createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
  if (req.method === "POST") {
    let text = "";
    req.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    req.on("end", () => {
      const message = new URLSearchParams(text).get("message");
      const at = Date.now();
      said.push(JSON.stringify({ id: `${at}-0`, user: "user-0", text: message, at }));
      const body = after(said.length - 1);
      const waiting = held;
      held = new Set();
      for (const waiter of waiting) reply(waiter, body);
      reply(res, "{}");
    });
    return;
  }
  const since = Number(/since=(\d+)/.exec(req.url)?.[1] ?? said.length);
  if (since < said.length) return reply(res, after(since));
  held.add(res);
  res.on("close", () => held.delete(res));
})
  .on("connection", (socket) => socket.on("error", () => {}))
  .listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, function () {
    console.log(`http://127.0.0.1:${this.address().port}`);
  });
