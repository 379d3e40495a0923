// Loaded before a Node server under test: its event-loop delay and heap, told when the bench asks.
import { monitorEventLoopDelay } from "node:perf_hooks";

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on("message", (what) => {
  if (what === "reset") delay.reset();
  process.send({
    p99: delay.percentile(99) / 1e6,
    max: delay.max / 1e6,
    heap: process.memoryUsage().heapUsed,
  });
});
process.channel?.unref();
