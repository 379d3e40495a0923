/**
 * Decides when waiters are answered. All waiters with news are answered together, in a flush. After a flush that kept
 * the process busy for d ms there is a cooldown of 2 d, so that the events of that time travel together in one reply.
 * A quiet feed has cooled down long ago and answers at once; a busy feed spends its time on events instead of replies.
 */

/** After this time a flush lets other work of the process go on, before its next slice. */
const SLICE_MS = 10;
/** A flush of at most this many answers has a longer first slice: cut in two, its last answer would be twice as late. */
const SMALL_FLUSH = 1000;
/** The first slice of a small flush. */
const SMALL_FLUSH_SLICE_MS = 40;
/** The cooldown, as a multiple of the flush. With 1, a busy feed fell back to one reply for each event. */
const COOLDOWN_FACTOR = 2;

/**
 * Returns a function that asks for a flush: now, or after the cooldown. Late polls ask for one too. If they were answered
 * one by one, flushes would find nobody waiting and take no time, so there would be no cooldown and no batching.
 * @param collect returns the items that a flush answers; called when the flush begins
 * @param answer answers one of them; must not throw
 */
export function createFlush<T>(collect: () => readonly T[], answer: (item: T) => void): () => void {
  let requested = false;
  let running = false;
  let cooldownEnd = 0;

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

/** Lets other work go on: for some milliseconds, or until the next turn of the event loop. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void (ms < 1 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}
