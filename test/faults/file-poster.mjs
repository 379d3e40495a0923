/**
 * A file store in a process of its own, for tests that kill it. It takes the folder and how many messages to keep,
 * prints what happens, one thing a line, and does what it reads:
 *
 *     open <lastPrunedId> <ids>   kept <id>   shown <id>   refused   said <line>
 *
 * "flood" lets eight posters post until one is refused. At the end of its input it closes.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { FileStore } from "../../dist/index.js";

// Written at once, so that nothing that was told is lost in a kill.
const tell = (...words) => writeSync(1, `${words.join(" ")}\n`);

const [folder = "", keep = ""] = process.argv.slice(2);
const store = new FileStore({ folder, warn: (line) => tell("said", line) });
try {
  const { lastPrunedId, messages } = await store.open(({ id }) => tell("shown", id), undefined, Number(keep));
  tell("open", lastPrunedId, messages.map(({ id }) => id).join());
} catch (error) {
  tell("said", error.message);
  process.exit(1);
}

async function poster(user) {
  for (;;) {
    try {
      tell("kept", (await store.append({ user, text: "What is said in a room, about so long." })).id);
    } catch {
      tell("refused");
      return;
    }
  }
}

for await (const command of createInterface({ input: process.stdin })) {
  if (command === "flood") for (let n = 0; n < 8; n++) poster(`poster-${n}`);
}
await store.close();
