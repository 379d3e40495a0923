/** Measures the delay of the event loop, which delays every request of the process. */

/** Calls `onDelay` every `ms` milliseconds with the delay in milliseconds, until `clearInterval`. Keeps no process alive. */
export function watchLoop(ms: number, onDelay: (late: number) => void): NodeJS.Timeout {
  let due = performance.now() + ms;
  return setInterval(() => {
    const now = performance.now();
    onDelay(Math.max(0, now - due));
    due = now + ms;
  }, ms).unref();
}
