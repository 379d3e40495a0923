/** Wrong: a map of held responses without a backlog. Whoever has no poll held in the moment of a message misses it. */
import { createChat, MemoryStore } from "../../../dist/index.js";
import { listen, readPoll } from "./listen.mjs";

const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore(1000) });

listen(
  (req, res) => {
    const [before, , behind] = readPoll(req.url ?? "") ?? [];
    // Whatever the cursor: only what comes next.
    if (before !== undefined) req.url = `${before}now${behind}`;
    chat.handler(req, res);
  },
  () => chat.close(),
);
