/**
 * Deadlines: when each wait ends, for ten thousand waits that mostly end early and begin anew. Not a timer each: time is
 * cut into ticks, one timer serves the next tick in which somebody is looked at, and who waits again meanwhile only
 * moves a number. So a busy room does not touch its timers, and in a quiet one many waits end in one go, which costs
 * half of what it does one by one. The price is that a wait ends up to a tick late.
 */

/** How long a tick is, in milliseconds. */
const TICK = 50;

/** Something with a deadline. */
export interface Waiting {
  /** The tick in which it ends. A whole number: others would be objects of their own, two for everybody. */
  due: number;
  /** The tick in which it is looked at, if that is to come. */
  tick: number | undefined;
  /** Whether it is waiting at all. */
  readonly isWaiting: boolean;
}

export class Deadlines<T extends Waiting> {
  readonly #ticks = new Map<number, T[]>();
  readonly #expired: (item: T) => void;
  #timer: NodeJS.Timeout | undefined;
  #next = Number.POSITIVE_INFINITY;

  /** @param expired is told of whose wait has ended */
  constructor(expired: (item: T) => void) {
    this.#expired = expired;
  }

  /** Lets a wait end in `wait` milliseconds, and no earlier; `Infinity` has no end. */
  set(item: T, wait: number): void {
    item.due = Math.ceil((performance.now() + wait) / TICK);
    // Who is looked at before that is sent on then.
    if (item.tick === undefined || item.tick > item.due) this.#put(item, item.due);
  }

  /** How many milliseconds a wait has left. */
  left({ due }: T): number {
    return due * TICK - performance.now();
  }

  /** Forgets all. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#next = Number.POSITIVE_INFINITY;
    for (const items of this.#ticks.values()) for (const item of items) item.tick = undefined;
    this.#ticks.clear();
  }

  #put(item: T, tick: number): void {
    if (tick === Number.POSITIVE_INFINITY) return;
    item.tick = tick;
    const items = this.#ticks.get(tick);
    if (items) items.push(item);
    else this.#ticks.set(tick, [item]);
    if (tick < this.#next) this.#expect(tick);
  }

  #expect(tick: number): void {
    clearTimeout(this.#timer);
    this.#next = tick;
    // A process that has nothing else to do need not wait.
    const delay = Math.max(0, tick * TICK - performance.now());
    this.#timer = setTimeout(() => this.#look(), delay).unref();
  }

  #look(): void {
    const now = performance.now();
    this.#next = Number.POSITIVE_INFINITY;
    const ticks = [...this.#ticks.keys()].sort((a, b) => a - b);
    for (const tick of ticks) {
      if (tick * TICK > now) break;
      const items = this.#ticks.get(tick) ?? [];
      this.#ticks.delete(tick);
      for (const item of items) this.#lookAt(item, tick);
    }
    const [next] = [...this.#ticks.keys()].sort((a, b) => a - b);
    if (next !== undefined) this.#expect(next);
  }

  #lookAt(item: T, tick: number): void {
    // It was put in an earlier tick since.
    if (item.tick !== tick) return;
    item.tick = undefined;
    if (!item.isWaiting) return;
    if (item.due <= tick) this.#expired(item);
    else this.#put(item, item.due);
  }
}
