/** A chat with a short grace time in a process of its own: `node short-grace.mjs REDIS_URL GRACE_MS`. It prints its URL. */
import { createServer } from "node:http";
import { createChat, RedisStore } from "../../dist/index.js";

const [url = "", grace] = process.argv.slice(2);
const store = new RedisStore({ url, warn: console.error });
const chat = await createChat({ store, grace: Number(grace), postRate: 0, loginRate: 0 });
const server = createServer(chat.handler).listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
