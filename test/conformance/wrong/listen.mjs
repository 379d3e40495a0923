/** Puts a handler on the port that the command line names (--port N), and ends on SIGTERM as a server should. */
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
 * The parts of a poll's target: what is before `since`, the cursor, and what is behind it. Undefined for all else.
 * @param {string} target
 */
export function readPoll(target) {
  return /^(\/get_post\/[^?]*\?(?:.*&)?since=)(\d+-\d+|0|now)(?![^&])(.*)$/s.exec(target)?.slice(1);
}
