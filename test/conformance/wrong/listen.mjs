/** Serves a handler on the port of --port N and drains on SIGTERM. */
import { createServer } from "node:http";
import { parseArgs } from "node:util";

/**
 * @param {import("node:http").RequestListener} handler
 * @param {() => Promise<void>} close answers every poll
 */
export function listen(handler, close) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "0" } } });
  const server = createServer(handler).listen(Number(values.port), "127.0.0.1");
  process.on("SIGTERM", () => {
    void close();
    server.close();
  });
}

/**
 * Splits the target of a poll into the part before `since`, the cursor, and the rest. Undefined for other targets.
 * @param {string} target
 */
export function readPoll(target) {
  return /^(\/get_post\/[^?]*\?(?:.*&)?since=)(\d+-\d+|0|now)(?![^&])(.*)$/s.exec(target)?.slice(1);
}
