/** What a room has done since it started: plain numbers, so counting costs nothing that can be measured. */
import type { FinishReason } from "../feed/index.js";

/** How often something took how long. */
export class Durations {
  /** The upper bounds of the classes, in seconds. */
  readonly bounds: readonly number[];
  /** How many were in each class, and in the one above all bounds. */
  readonly counts: number[];
  /** All of them together, in seconds. */
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = [...bounds, 0].map(() => 0);
  }

  /** @param seconds how long it took this time */
  add(seconds: number): void {
    const found = this.bounds.findIndex((bound) => seconds <= bound);
    const at = found < 0 ? this.bounds.length : found;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += seconds;
  }
}

export class Counts {
  /** Polls by how they ended. `immediate`: the wait was 0; `full`: there was no room. */
  readonly polls: Record<FinishReason | "immediate" | "full", number> = {
    events: 0,
    timeout: 0,
    superseded: 0,
    canceled: 0,
    disconnected: 0,
    drained: 0,
    immediate: 0,
    full: 0,
  };
  /** Bytes that polls were answered with. */
  bytes = 0;
  /** Messages that were kept, notices as well. */
  messages = 0;
  /** How long the store took to keep a post. */
  readonly kept = new Durations([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]);
  /** Posts that the store could not keep. */
  notKept = 0;
}
