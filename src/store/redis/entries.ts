/** Entries of the stream as messages, and what a process finds of them when it starts. */
import { compareIds, type Id, isId, parseId } from "../../feed/id.js";
import { idBefore } from "../id.js";
import type { Message, Snapshot } from "../store.js";
import type { Entry, Stream } from "./connection.js";

/** What was there at the start. `entries` is one more than is kept, newest first. */
export function snapshotOf(entries: readonly Entry[], about: Stream, keep: number): Snapshot {
  const messages = entries.slice(0, keep).flatMap((entry) => asMessage(entry) ?? []);
  messages.reverse();
  const { "last-generated-id": end, "max-deleted-entry-id": deleted, "entries-added": added, length } = about;
  const before = entries[keep]?.id;
  const [first] = messages;
  if (!first) return { lastPrunedId: idOf(before ?? end), messages };
  if (before !== undefined) return { lastPrunedId: idOf(before), messages };
  // All that is gone, and the only entry that was ever deleted by name, is the mark at which the room began.
  const isWhole = added - length === 1 && isId(deleted) && compareIds(deleted, first.id) < 0;
  return { lastPrunedId: isWhole ? deleted : idBefore(first.id), messages };
}

/** An entry as a message, whose kind may be empty; undefined when it is none of ours. */
export function asMessage({ id, message: { user, text, kind } }: Entry): Message | undefined {
  if (!isId(id) || user === undefined || text === undefined) return undefined;
  const at = parseId(id)[0];
  return kind === "join" || kind === "leave" ? { id, user, text, at, kind } : { id, user, text, at };
}

export function idOf(text: string): Id {
  if (isId(text)) return text;
  throw new Error(`Redis gave the id ${text}`);
}
