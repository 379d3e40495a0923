/** Measures and prints. ONLY=holdline,bare names who; QUICK=1 is a short look. */
import { CONTENDERS } from "./contenders.js";
import { idle, offer, oneAtATime, play } from "./scenarios.js";

const only = process.env.ONLY?.split(",");
const contenders = CONTENDERS.filter(({ name }) => !only || only.includes(name));
const rates = process.env.RATES?.split(",").map(Number) ?? [10, 100, 400, 800];
const what = process.env.WHAT?.split(",") ?? ["one", "rate", "idle"];

for (const contender of contenders) {
  const { name } = contender;
  if (what.includes("one")) {
    for (const [count, rounds] of [
      [1000, 100],
      [10_000, 12],
    ] as const) {
      const { cpu, memoryEach, p50 } = await play(contender, count, (stage) => oneAtATime(stage, rounds));
      const kib = (memoryEach / 1024).toFixed(1);
      console.log(
        `${name} ${count}: ${(cpu * 1e6).toFixed(1)} µs a delivery, p50 ${p50} ms, ${kib} KiB a waiter`,
      );
    }
  }
  if (what.includes("rate")) {
    for (const rate of rates) {
      const got = await play(contender, 1000, (stage) => offer(stage, rate, 5));
      console.log(
        name,
        rate,
        JSON.stringify(got, (_, v) => (typeof v === "number" ? Math.round(v * 100) / 100 : v)),
      );
    }
  }
  if (what.includes("idle")) {
    const { busy } = await play(contender, 10_000, (stage) => idle(stage, 30));
    console.log(`${name} idle: ${(busy * 100).toFixed(2)}% of a core`);
  }
}
