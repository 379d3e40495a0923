/** What polls are answered with: made once for all who stand at the same place, until the next message. */
import type { Id } from "../store/id.js";
import type { Message } from "../store/store.js";
import type { Backlog, Cursor } from "./backlog.js";

/** Why a waiter was let go. */
export type Ending = "message" | "time-out" | "superseded" | "left" | "gone" | "drained";

/** What a poll is answered with, as it goes over the wire. */
export interface Batch {
  /** For the next poll. */
  readonly cursor: Id;
  /** How many people are here. */
  readonly present: number;
  /** In order, all that came after the poll's cursor, or the first part of it. */
  readonly messages: readonly Message[];
  /** Some messages after the poll's cursor are not kept any more. */
  readonly gap?: true;
  /** A newer poll of the same client took over: do not poll again. */
  readonly superseded?: true;
  /** The process stops: poll again after this many milliseconds. */
  readonly retry?: number;
}

/** A batch, and its JSON, which is made once for all who get it. */
export interface Answer {
  readonly batch: Batch;
  /** Text goes out with its head in one write; what is large is bytes, which all who read slowly have in common. */
  readonly json: string | Buffer;
  /** How long `json` is in UTF-8, in bytes. */
  readonly bytes: number;
}

/** How far apart clients are told to come back after a drain, in milliseconds. */
const RETRY_SPREAD = 2_000;
/** From so many bytes on, a copy for each reader would be worse than a second write. */
const LARGE = 64 * 1024;
/** So many answers are remembered. Most waiters stand at the same few places; a stranger may invent any number. */
const REMEMBERED = 64;

export class Answers {
  readonly #backlog: Backlog;
  readonly #present: () => number;
  readonly #made = new Map<Cursor, Answer>();

  /** @param present how many people are here */
  constructor(backlog: Backlog, present: () => number) {
    this.#backlog = backlog;
    this.#present = present;
  }

  /** The answer to a poll at `cursor` that ends like this. */
  to(cursor: Cursor | "now", ending: Ending): Answer {
    const from = cursor === "now" ? this.#backlog.end : cursor;
    return ending === "superseded" || ending === "drained" ? this.#farewell(from, ending) : this.#news(from);
  }

  /** There is a new message: what was made is old. */
  forget(): void {
    this.#made.clear();
  }

  #news(cursor: Cursor): Answer {
    const present = this.#present();
    const made = this.#made.get(cursor);
    if (made?.batch.present === present) return made;
    const { json, ...slice } = this.#backlog.after(cursor);
    const gap = slice.gap ? ',"gap":true' : "";
    const answer = answerOf(
      { cursor: slice.cursor, present, messages: slice.messages, ...(slice.gap && { gap: true }) },
      `{"cursor":"${slice.cursor}","present":${present}${gap},"messages":[${json}]}`,
    );
    if (this.#made.size >= REMEMBERED) this.#made.clear();
    this.#made.set(cursor, answer);
    return answer;
  }

  /** Nothing is handed over, so the cursor stays where it is. */
  #farewell(cursor: Cursor, ending: "superseded" | "drained"): Answer {
    const batch: Batch = {
      cursor: cursor === "0" ? this.#backlog.floor : cursor,
      present: this.#present(),
      messages: [],
      ...(ending === "superseded"
        ? { superseded: true }
        : { retry: Math.floor(Math.random() * RETRY_SPREAD) }),
    };
    return answerOf(batch, JSON.stringify(batch));
  }
}

function answerOf(batch: Batch, json: string): Answer {
  const bytes = Buffer.byteLength(json);
  return { batch, json: bytes < LARGE ? json : Buffer.from(json), bytes };
}
