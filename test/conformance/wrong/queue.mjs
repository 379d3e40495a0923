/**
 * Wrong: a queue per user, as in many a tutorial. A poll takes what is in it, also when its caller is gone by then, and
 * what one page took the other misses: the cursor that a poll brings means nothing after the first.
 */
import { createChat, MemoryStore } from "../../../dist/index.js";
import { listen, readPoll } from "./listen.mjs";

const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore(1000) });

/** @type {Map<string, string>} how far each user's queue was taken, by the user's segment of the path */
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
  // Nobody looks whether the caller is still there.
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
