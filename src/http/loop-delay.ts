/** How late the event loop is: whatever keeps it busy, everybody on this process waits for. */

/** Looks every `ms` milliseconds, and tells by how many it was late. Keeps no process alive; ends with `clearInterval`. */
export function watchLoop(ms: number, tell: (late: number) => void): NodeJS.Timeout {
  let due = performance.now() + ms;
  return setInterval(() => {
    const now = performance.now();
    tell(Math.max(0, now - due));
    due = now + ms;
  }, ms).unref();
}
