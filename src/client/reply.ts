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

/** A message of any kind; a later version may have kinds that this one does not know. */
type AnyMessage = Omit<Message, "kind"> & { readonly kind?: string };

/** The whole answer to a poll. */
export interface Reply extends Omit<Batch, "messages"> {
  readonly messages: readonly AnyMessage[];
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

function isMessage(value: unknown): value is AnyMessage {
  if (!isObject<Message>(value)) return false;
  const { id, user, text, at, kind = "" } = value;
  const said = [user, text, kind].every((field) => typeof field === "string") && typeof at === "number";
  return said && typeof id === "string" && /^\d+-\d+$/.test(id);
}

/** Whether this is something that we know how to show. */
export function isKnown(message: AnyMessage): message is Message {
  return [undefined, "join", "leave"].includes(message.kind);
}

/** Whether an id is not after a cursor, compared as two integers. Never so for a cursor that is no id, like `now`. */
export function isBehind(id: string, cursor: string): boolean {
  const [ms = Number.NaN, n = Number.NaN] = id.split("-").map(Number);
  const [cursorMs = Number.NaN, cursorN = Number.NaN] = cursor.split("-").map(Number);
  return ms < cursorMs || (ms === cursorMs && n <= cursorN);
}
