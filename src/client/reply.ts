/** What a poll was answered, looked at before it is believed: it may come from a proxy, or from another version. */
import type { Message } from "../store/store.js";
import { patience } from "./backoff.js";
import { type Answer, isObject } from "./request.js";

/** One answer of the room. */
export interface Batch {
  /** The cursor after these messages: pass it as `since` to go on from here. */
  readonly cursor: string;
  /** How many people are here. */
  readonly present: number;
  /** In order, none of them handed out before. Often none at all. */
  readonly messages: readonly Message[];
  /** Messages before these are missing, or the room has another history. */
  readonly gap?: true;
}

/** The whole answer to a poll. */
export interface Reply extends Batch {
  readonly superseded: boolean;
  /** The wait (ms) that a draining server asks for; undefined from one that goes on. */
  readonly retry: number | undefined;
}

/** Reads the answer to a poll. Undefined if it is not wholly the protocol's: half an answer would lose the rest. */
export function readReply({ status, body }: Answer): Reply | undefined {
  if (status !== 200 || !isObject<Reply>(body)) return undefined;
  const { cursor, present, messages, gap, superseded, retry } = body;
  if (typeof cursor !== "string" || cursor === "" || typeof present !== "number") return undefined;
  if (!Array.isArray(messages) || !messages.every(isMessage)) return undefined;
  return {
    cursor,
    present,
    messages,
    ...(gap === true && { gap }),
    superseded: superseded === true,
    retry: retry === undefined ? undefined : patience(retry),
  };
}

function isMessage(value: unknown): value is Message {
  if (!isObject<Message>(value)) return false;
  const { id, user, text, at, kind } = value;
  const known = kind === undefined || kind === "join" || kind === "leave";
  const said = typeof user === "string" && typeof text === "string" && typeof at === "number";
  return known && said && typeof id === "string" && /^\d+-\d+$/.test(id);
}

/** Whether an id is not after a cursor, compared as two integers. Never so for a cursor that is no id, like `now`. */
export function isBehind(id: string, cursor: string): boolean {
  const [ms = Number.NaN, n = Number.NaN] = id.split("-").map(Number);
  const [cursorMs = Number.NaN, cursorN = Number.NaN] = cursor.split("-").map(Number);
  return ms < cursorMs || (ms === cursorMs && n <= cursorN);
}
