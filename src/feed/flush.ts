/**
 * Decides when waiters are answered. A flush answers all waiters that have news. A flush that kept the process busy for
 * d ms is followed by a cooldown of 2 d, and the events of that time go out together, in one reply for each waiter.
 * After a quiet time no cooldown is active, and a flush runs at once. A busy feed spends about a third of its time on
 * flushes, and more if a flush takes less than a millisecond.
 */

/**
 * After this time a flush lets other work of the process run, before its next slice. While 10,000 waiters are answered,
 * another request takes 26 ms (p99). With slices of 10 ms it takes 46 ms. The processor time is the same.
 */
const SLICE_MS = 5;
/** With at most this many waiters, the first slice is longer, so that usually all answers go out in one slice. */
const SMALL_FLUSH = 1000;
/** The first slice of a small flush. */
const SMALL_FLUSH_SLICE_MS = 40;
/** The length of the cooldown, as a multiple of the flush. */
const COOLDOWN_FACTOR = 2;

/**
 * Returns a function that requests a flush: now, or after the cooldown. A poll that already has news also waits for the
 * flush. On a busy feed almost every poll has news. With direct answers, a flush would find few waiters and have a short
 * cooldown, so each reply would have one event.
 * @param collect returns the items that a flush answers; called when the flush begins
 * @param answer answers one of them; must not throw
 */
export function createFlush<T>(collect: () => readonly T[], answer: (item: T) => void): () => void {
  let [requested, running, cooldownEnd] = [false, false, 0];

  async function run(): Promise<void> {
    running = true;
    while (requested) {
      await pause(cooldownEnd - performance.now());
      requested = false;
      cooldownEnd = COOLDOWN_FACTOR * (await flush()) + performance.now();
    }
    running = false;
  }

  /** Answers in slices. Resolves with the time for which the process was busy, in milliseconds. */
  async function flush(): Promise<number> {
    let [busyMs, start] = [0, performance.now()];
    const items = collect();
    let sliceMs = items.length <= SMALL_FLUSH ? SMALL_FLUSH_SLICE_MS : SLICE_MS;
    for (const item of items) {
      answer(item);
      const used = performance.now() - start;
      if (used < sliceMs) continue;
      await pause(0);
      busyMs += used;
      [start, sliceMs] = [performance.now(), SLICE_MS];
    }
    return busyMs + performance.now() - start;
  }

  return () => {
    requested = true;
    if (!running) void run();
  };
}

/** Lets other work run: for some milliseconds, or until the next turn of the event loop. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void (ms < 1 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}
