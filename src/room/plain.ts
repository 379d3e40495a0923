/**
 * The poll without a cursor: the server remembers where each person is. It moves a cursor on only for a message whose
 * answer was handed to a connection that was open, and looks at how that went when the next poll comes: until then
 * the connection may still prove to have been dead. What cannot be known is a network that fails without a word.
 */
import type { Cursor } from "./backlog.js";

interface Reader {
  cursor: Cursor;
  /** The answer that is on its way: where it leads, and whether it is known to be lost. */
  handed?: { readonly cursor: Cursor; readonly isLost: () => boolean } | undefined;
}

export class PlainReaders {
  readonly #readers = new Map<string, Reader>();
  readonly #start: Cursor;

  /** @param start the end of the backlog when the process began: where those read on who logged in before that */
  constructor(start: Cursor) {
    this.#start = start;
  }

  /** Somebody opens the room and sees everything up to `cursor`. */
  open(user: string, cursor: Cursor): Reader {
    const reader = { cursor };
    this.#readers.set(user, reader);
    return reader;
  }

  /** Where somebody's next plain poll begins. */
  cursor(user: string): Cursor {
    const reader = this.#readers.get(user) ?? this.open(user, this.#start);
    if (reader.handed && !reader.handed.isLost()) reader.cursor = reader.handed.cursor;
    reader.handed = undefined;
    return reader.cursor;
  }

  /** An answer that leads to `cursor` was handed to a connection; `isLost` tells later whether that failed. */
  handed(user: string, cursor: Cursor, isLost: () => boolean): void {
    const reader = this.#readers.get(user);
    if (reader) reader.handed = { cursor, isLost };
  }

  /** Forgets somebody. */
  close(user: string): void {
    this.#readers.delete(user);
  }
}
