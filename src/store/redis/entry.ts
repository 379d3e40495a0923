/** The entries of streams, and the messages in them. */
import { type Id, isId, parseId } from "../../feed/id.js";
import type { Message } from "../store.js";

/** An entry of a stream. */
export interface Entry {
  readonly id: Id;
  readonly fields: Readonly<Record<string, string>>;
}

/** Returns whether an entry is a message, and not a mark. */
export function isMessage({ fields }: Entry): boolean {
  return fields.user !== undefined;
}

export function toMessage({ id, fields: { user = "", text = "", kind } }: Entry): Message {
  const [at] = parseId(id);
  return kind === "join" || kind === "leave" ? { id, user, text, at, kind } : { id, user, text, at };
}

export function toEntries(
  raw: readonly { id: string; message: Entry["fields"] }[] | null | undefined,
): Entry[] {
  return (raw ?? []).map(({ id, message }) => ({ id: toId(id), fields: message }));
}

export function toId(text: string | undefined): Id {
  if (text !== undefined && isId(text)) return text;
  throw new Error(`Redis sent the id ${text}`);
}
