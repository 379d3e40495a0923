/** Wrong: a map of held responses without a backlog. A user without a held poll misses the message. */
import { createChat, MemoryStore } from "../../../dist/index.js";
import { listen, readPoll } from "./listen.mjs";

const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore() });

listen(
  (req, res) => {
    const [before, , behind] = readPoll(req.url ?? "") ?? [];
    // The fault: it ignores the cursor and returns only later messages.
    if (before !== undefined) req.url = `${before}now${behind}`;
    chat.handler(req, res);
  },
  () => chat.close(),
);
