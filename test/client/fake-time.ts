/** Fake time for the tests of the client. */
import { afterEach, beforeEach, vi } from "vitest";

export const second = 1000;

/** Lets time pass. */
export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

let controller = new AbortController();

/** The signal that ends with the test. */
export const stopSignal = () => controller.signal;

/** Ends what the test began. */
export const stop = (reason?: unknown) => controller.abort(reason);

/** Gives each test fake timers, a jitter, and a signal that ends what it began. */
export function fakeTime(jitter = 0.5): void {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.setSystemTime(Date.UTC(2030, 0, 1));
    vi.spyOn(Math, "random").mockReturnValue(jitter);
    controller = new AbortController();
  });
  afterEach(() => {
    stop();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
}
