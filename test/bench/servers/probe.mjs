// Loaded before a Node server under test. It collects garbage and reports the heap in use when the bench asks.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

process.on("message", () => {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  process.send(process.memoryUsage().heapUsed);
});
process.channel?.unref();
