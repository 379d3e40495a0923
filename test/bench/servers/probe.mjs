// Loaded before a Node server under test: its event-loop delay and heap, told when the bench asks. Until then it does
// nothing, since a clock that ticks would be measured too.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const delay = monitorEventLoopDelay({ resolution: 5 });
process.on("message", (what) => {
  if (what === "collect garbage") {
    setFlagsFromString("--expose-gc");
    runInNewContext("gc")();
  }
  process.send({ delay: delay.percentile(99) / 1e6, heap: process.memoryUsage().heapUsed });
  delay.reset();
  if (what === "watch") delay.enable();
  if (what === "stop watching") delay.disable();
});
process.channel?.unref();
