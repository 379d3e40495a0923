// What node:http itself costs: an array, a Set of held responses, one shared body for a broadcast. No sessions, names or
// limits; timers only with --timeouts. Cursors are positions in the array.
import { createServer } from "node:http";

const hasTimeouts = process.argv.includes("--timeouts");
const messages = [];
let held = new Set();

const after = (since) => `{"cursor":"${messages.length}","messages":[${messages.slice(since).join(",")}]}`;
const reply = (res, body) => {
  res.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  res.end(body);
};

const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
  if (req.method === "POST") {
    let text = "";
    req.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    req.on("end", () => {
      const message = new URLSearchParams(text).get("message");
      const at = Date.now();
      messages.push(JSON.stringify({ id: `${at}-0`, user: "user-0", text: message, at }));
      const body = after(messages.length - 1);
      const waiting = held;
      held = new Set();
      for (const waiter of waiting) reply(waiter, body);
      reply(res, "{}");
    });
    return;
  }
  // As holdline does. Otherwise Node reads the request after the reply, with more work.
  req.read();
  const since = Number(/since=(\d+)/.exec(req.url)?.[1] ?? messages.length);
  if (since < messages.length) return reply(res, after(since));
  held.add(res);
  res.on("close", () => held.delete(res));
  if (hasTimeouts) endAfterWait(req, res);
});
server.on("connection", (socket) => socket.on("error", () => {}));
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});

function endAfterWait(req, res) {
  const ms = 1000 * Number(/wait=([\d.]+)/.exec(req.url)[1]);
  const timer = setTimeout(() => held.delete(res) && reply(res, after(messages.length)), ms);
  res.on("close", () => clearTimeout(timer));
}
