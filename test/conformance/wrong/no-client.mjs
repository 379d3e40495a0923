/** Wrong: ignores `client`, so that every poll of a page that was loaded again, or tried again, stays until its end. */
import { createChat, MemoryStore } from "../../../dist/index.js";
import { listen } from "./listen.mjs";

const chat = await createChat({ postRate: 0, loginRate: 0, store: new MemoryStore(1000) });

listen(
  (req, res) => {
    // One that is malformed stays, to be refused.
    if (req.url?.startsWith("/get_post/"))
      req.url = req.url.replace(/([?&])client=[\w-]{1,64}(?=&|$)/, "$1x=");
    chat.handler(req, res);
  },
  () => chat.close(),
);
