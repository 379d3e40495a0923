/** Wrong servers: `node wrong.mjs no-client|queue|waiter-map`. Each is holdline with one fault in front. */
import { createServer } from "node:http";
import { createChat, MemoryStore } from "../../dist/index.js";

/**
 * Splits the target of a poll into the part before `since`, the cursor, and the rest. Undefined for other targets.
 * @param {string} target
 */
function readPoll(target) {
  return /^(\/get_post\/[^?]*\?(?:.*&)?since=)(\d+-\d+|0|now)(?![^&])(.*)$/s.exec(target)?.slice(1);
}

/** @type {Map<string, string>} the cursor of each user's queue, by the user's path segment */
const taken = new Map();
/** @type {Set<string>} the users whose poll has disconnected since the last post */
const dead = new Set();

/** @type {Record<string, (req: import("node:http").IncomingMessage, res: import("node:http").ServerResponse) => void>} */
const FAULTS = {
  /** Ignores `client`, so polls of a reloaded page stay until their time-out. A malformed one stays, and is refused. */
  "no-client": (req) => {
    if (req.url?.startsWith("/get_post/"))
      req.url = req.url.replace(/([?&])client=[\w-]{1,64}(?=&|$)/, "$1x=");
  },

  /** A map of held responses without a backlog: it ignores the cursor and returns only later messages. */
  "waiter-map": (req) => {
    const [before, , behind] = readPoll(req.url ?? "") ?? [];
    if (before !== undefined) req.url = `${before}now${behind}`;
  },

  /**
   * A queue per user, as in many tutorials. A poll empties the queue, also if its caller has disconnected, and a second page
   * misses what the first one took. Only the cursor of the first poll counts.
   */
  queue(req, res) {
    const [before = "", since = "", behind] = readPoll(req.url ?? "") ?? [];
    const [, , user = ""] = before.split(/[/?]/);
    const end = res.end.bind(res);
    res.end = (/** @type {any} */ body) => {
      const { id } = /^\{/.test(String(body)) ? JSON.parse(String(body)) : {};
      // A post takes the place of the polls whose callers have disconnected.
      if (id) for (const gone of dead) taken.set(gone, id);
      if (id) dead.clear();
      return end(body);
    };
    if (since === "" || req.method !== "GET") return;
    req.url = `${before}${taken.get(user) ?? since}${behind}`;
    res.on("close", () => void (res.writableFinished || dead.add(user)));
    const write = res.write.bind(res);
    res.write = (/** @type {any} */ body) => {
      const { cursor } = /^\{/.test(String(body)) ? JSON.parse(String(body)) : {};
      if (cursor) taken.set(user, cursor);
      return write(body);
    };
  },
};

const fault = FAULTS[process.argv[2] ?? ""];
const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore() });
// Longer than the kit's pauses, so that no request meets a closing connection.
const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
  fault?.(req, res);
  chat.handler(req, res);
});
server.listen(0, "127.0.0.1", () =>
  console.log(`http://127.0.0.1:${/** @type {any} */ (server.address()).port}`),
);
process.on("SIGTERM", () => {
  void chat.close();
  server.close();
});
