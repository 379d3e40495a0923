/** The clock of this process, which a chat of `chatPerTest` shares: it stands still until the test moves it. */
import { onTestFinished, vi } from "vitest";

/** Stops the clock and its timers for the rest of the test. To be called before the chat is started. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Moves the clock on by this many milliseconds; timers that are due on the way run. */
export function moveClock(ms: number): void {
  vi.advanceTimersByTime(ms);
}
