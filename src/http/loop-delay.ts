/** The delay of the event loop: all requests of the process wait for what keeps it busy. */

/** Calls `onDelay` every `ms` milliseconds with how many it was late. Keeps no process alive. Ends with `clearInterval`. */
export function watchLoop(ms: number, onDelay: (late: number) => void): NodeJS.Timeout {
  let due = performance.now() + ms;
  return setInterval(() => {
    const now = performance.now();
    onDelay(Math.max(0, now - due));
    due = now + ms;
  }, ms).unref();
}
