/** The clock of this process, which a chat of `chatPerTest` shares. It stands still until the test advances it. */
import { onTestFinished, vi } from "vitest";

/** Stops the clock and its timers for the rest of the test. Call it before the chat starts. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Advances the clock by this many milliseconds. Due timers run. */
export function moveClock(ms: number): void {
  vi.advanceTimersByTime(ms);
}
