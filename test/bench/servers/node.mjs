// The servers on Node: `node node.mjs bare|feed|engine.io`.
import { createServer } from "node:http";

const [, , name] = process.argv;

/** Reads a form and returns its field `message`. */
async function readText(req) {
  let text = "";
  for await (const chunk of req.setEncoding("utf8")) text += chunk;
  return new URLSearchParams(text).get("message");
}

// Node would end connections that are idle while the clients come in.
const listen = (listener, attach) => {
  const server = createServer({ keepAliveTimeout: 75_000 }, listener);
  attach?.(server);
  server.on("connection", (socket) => socket.on("error", () => {}));
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
    console.log(`http://127.0.0.1:${server.address().port}`);
  });
};

const SERVERS = {
  /**
   * What node:http itself costs: an array, a Set of held responses, one shared body for a broadcast. No sessions, names or
   * limits; timers only with --timeouts. Cursors are positions in the array.
   */
  bare() {
    const hasTimeouts = process.argv.includes("--timeouts");
    const messages = [];
    let held = new Set();
    const after = (since) =>
      `{"cursor":"${messages.length}","messages":[${messages.slice(since).join(",")}]}`;
    const reply = (res, body) => {
      res.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
      res.end(body);
    };
    const post = async (req, res) => {
      const text = await readText(req);
      const at = Date.now();
      messages.push(JSON.stringify({ id: `${at}-0`, user: "user-0", text, at }));
      const body = after(messages.length - 1);
      const waiting = held;
      held = new Set();
      for (const waiter of waiting) reply(waiter, body);
      reply(res, "{}");
    };
    listen((req, res) => {
      if (req.method === "POST") return post(req, res);
      // As holdline does. Otherwise Node reads the request after the reply, with more work.
      req.read();
      const since = Number(/since=(\d+)/.exec(req.url)?.[1] ?? messages.length);
      if (since < messages.length) return reply(res, after(since));
      held.add(res);
      res.on("close", () => held.delete(res));
      if (!hasTimeouts) return;
      const ms = 1000 * Number(/wait=([\d.]+)/.exec(req.url)[1]);
      const timer = setTimeout(() => held.delete(res) && reply(res, after(messages.length)), ms);
      res.on("close", () => clearTimeout(timer));
    });
  },

  /** The core alone: a feed over HTTP, and a POST that pushes. */
  async feed() {
    const { Feed, longPollHandler } = await import("../../../dist/feed/index.js");
    const feed = new Feed({ backlog: 10_000, maxWaiters: 20_000 });
    const poll = longPollHandler(feed);
    const post = async (req, res) => {
      feed.push({ user: "user-0", text: await readText(req), at: Date.now() });
      res.end("{}");
    };
    listen((req, res) => poll(req, res, () => post(req, res)));
  },

  /** The transport of Socket.IO: a message from one goes to all. Polling only. */
  async "engine.io"() {
    const { Server } = await import("engine.io");
    const engine = new Server({ transports: ["polling"], allowUpgrades: false, httpCompression: false });
    engine.on("connection", (socket) => {
      socket.on("message", (text) => {
        for (const client of Object.values(engine.clients)) client.send(text);
      });
    });
    listen(undefined, (server) => engine.attach(server));
  },
};

await SERVERS[name]();
