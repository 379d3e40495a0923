/**
 * Wrong: a queue per user, as in many tutorials. A poll empties the queue, also if its caller has disconnected, and a
 * second page misses what the first one took. Only the cursor of the first poll counts.
 */
import { createChat, MemoryStore } from "../../../dist/index.js";
import { listen, readPoll } from "./listen.mjs";

const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore() });

/** @type {Map<string, string>} the cursor of each user's queue, by the user's path segment */
const taken = new Map();

listen(
  (req, res) => {
    const [before = "", since = "", behind] = readPoll(req.url ?? "") ?? [];
    const [, , user = ""] = before.split(/[/?]/);
    if (since !== "" && req.method === "GET") {
      req.url = `${before}${taken.get(user) ?? since}${behind}`;
      takeFor(user, res);
    }
    chat.handler(req, res);
  },
  () => chat.close(),
);

/**
 * @param {string} user
 * @param {import("node:http").ServerResponse} res
 */
function takeFor(user, res) {
  // The fault: it does not check whether the caller is still connected.
  const on = res.on.bind(res);
  res.on = (event, listener) => (event === "close" ? res : on(event, listener));
  Object.defineProperty(res, "destroyed", { get: () => false, set: () => {} });
  const write = res.write.bind(res);
  res.write = (/** @type {any} */ body) => {
    const { cursor } = /^\{/.test(String(body)) ? JSON.parse(String(body)) : {};
    if (cursor) taken.set(user, cursor);
    return write(body);
  };
}
