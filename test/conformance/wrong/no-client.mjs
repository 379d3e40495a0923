/** Wrong: ignores `client`, so polls of a reloaded page stay until their time-out. */
import { createChat, MemoryStore } from "../../../dist/index.js";
import { listen } from "./listen.mjs";

const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore() });

listen(
  (req, res) => {
    // A malformed one stays, and is refused.
    if (req.url?.startsWith("/get_post/"))
      req.url = req.url.replace(/([?&])client=[\w-]{1,64}(?=&|$)/, "$1x=");
    chat.handler(req, res);
  },
  () => chat.close(),
);
