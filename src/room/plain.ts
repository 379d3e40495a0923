/**
 * The poll without a cursor: the server remembers where each person is. It moves a cursor on only for a message whose
 * answer was handed to a connection that was open, and looks at how that went when the next poll comes: until then
 * the connection may still prove to have been dead. With neighbours the next poll may go to one of them, so they are told
 * as soon as the connection has ended. What cannot be known is a network that fails without a word.
 */
import type { Socket } from "node:net";
import type { Id } from "../store/id.js";
import type { Neighbours } from "../store/neighbours.js";

interface Reader {
  cursor: Id;
  /** The answer that is on its way: where it leads, and whether it is known to be lost. */
  handed?: { readonly cursor: Id; readonly isLost: () => boolean } | undefined;
}

export class PlainReaders {
  readonly #readers = new Map<string, Reader>();
  readonly #start: Id;
  readonly #neighbours: Pick<Neighbours, "recall" | "remember"> | undefined;
  // What to do when a connection ends: only its last answer can be lost, since who asks again has got those before.
  readonly #ended = new WeakMap<Socket, () => void>();

  /**
   * @param start the end of the backlog when the process began: where those read on who logged in before that
   * @param neighbours who may answer the next poll
   */
  constructor(start: Id, neighbours?: Pick<Neighbours, "recall" | "remember">) {
    this.#start = start;
    this.#neighbours = neighbours;
  }

  /** Somebody opens the room and sees everything up to `cursor`. */
  open(user: string, cursor: Id): void {
    this.#readers.set(user, { cursor });
    this.#neighbours?.remember(user, cursor);
  }

  /** Learns where somebody is by now who may have polled elsewhere. To be waited for before `cursor`. */
  async recall(user: string): Promise<void> {
    if (!this.#neighbours) return;
    this.#takeBack(user, this.#readers.get(user));
    const cursor = await this.#neighbours.recall(user);
    if (cursor !== undefined) this.#readers.set(user, { cursor });
  }

  /** Where somebody's next plain poll begins. */
  cursor(user: string): Id {
    const reader = this.#readers.get(user) ?? { cursor: this.#start };
    this.#readers.set(user, reader);
    if (reader.handed && !reader.handed.isLost()) reader.cursor = reader.handed.cursor;
    reader.handed = undefined;
    return reader.cursor;
  }

  /** An answer that leads to `cursor` was handed to a connection that is open; `isLost` tells later whether that failed. */
  handed(user: string, cursor: Id, isLost: () => boolean, connection: Socket): void {
    const reader = this.#readers.get(user);
    if (!reader || connection.destroyed) return;
    reader.handed = { cursor, isLost };
    if (!this.#neighbours) return;
    // Instead of where the poll began: if that was taken back meanwhile elsewhere, it stays taken back.
    this.#neighbours.remember(user, cursor, reader.cursor);
    if (!this.#ended.has(connection)) connection.once("close", () => this.#ended.get(connection)?.());
    this.#ended.set(connection, () => this.#takeBack(user, reader));
  }

  /** Forgets somebody. */
  close(user: string): void {
    this.#readers.delete(user);
  }

  /** The neighbours' cursor goes back, unless it has moved on, when the answer that moved it was lost. */
  #takeBack(user: string, reader?: Reader): void {
    if (reader?.handed?.isLost()) this.#neighbours?.remember(user, reader.cursor, reader.handed.cursor);
  }
}
