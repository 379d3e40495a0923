/** What goes into a feed and what comes out: events, snapshots and batches. */
import type { Cursor, Id } from "./id.js";

/** An event and its id. */
export interface StoredEvent<E> {
  readonly id: Id;
  readonly event: E;
}

/** The state of a store: a feed starts from it. */
export interface Snapshot<E> {
  /** The id of the newest event that is no longer kept. A reader at this cursor has missed nothing. */
  readonly lastPrunedId: Id;
  /** The kept events in order, all after `lastPrunedId`. */
  readonly events: readonly StoredEvent<E>[];
}

/** The events after a cursor. */
export interface Batch<E> {
  /** The cursor after these events. The next poll or read starts here. */
  readonly cursor: Id;
  /** The events in order, as they were pushed. Empty if there are none, or with `superseded` or `retry`. */
  readonly events: readonly E[];
  /**
   * The cursor is neither the id of a kept event nor `lastPrunedId`. The reader may have missed events: they were pruned,
   * or the cursor comes from another process or an earlier run. `events` starts with the oldest kept event.
   */
  readonly gap?: true;
  /** A newer poll of the same client has replaced this one. The caller must not poll again; the newer poll continues. */
  readonly superseded?: true;
  /** The feed is draining. The client polls again after this many milliseconds: 0 to 2,000, at random. */
  readonly retry?: number;
}

/** Options of `Feed.follow`. */
export interface FollowOptions {
  /** A cursor, `"0"` for everything that is kept, or `"now"` (the default) for what is pushed after the call. */
  readonly since?: Cursor | "now";
  /** Ends the iteration when it is aborted. */
  readonly signal?: AbortSignal;
}
