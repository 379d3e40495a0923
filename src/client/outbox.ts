/**
 * The user's messages that are not yet in the conversation: shown at its end until the poll brings them. The reply to a
 * post and the message in the poll come in either order. If the reply is first, the message is recognised by its id.
 * Otherwise a message of the user with the same text hides the entry, until the reply shows whether it is that message.
 */
import type { Message } from "./chat.js";
import { byId, fill, make, memory, paragraph, room, words } from "./dom.js";
import * as log from "./log.js";
import { isObject, parseJson, randomId } from "./request.js";
import { SendError, Sender } from "./send.js";

/** Errors after which the same message can be sent once the user has logged in again. */
const SESSION_ERRORS = ["no_session", "not_you"];
/** Delay after which "Sending…" is shown. */
const SHOW_AFTER_MS = 1000;
const MEMORY = `outbox ${location.pathname}`;

/** One message on its way. */
interface Entry {
  readonly key: string;
  readonly text: string;
  readonly li: HTMLLIElement;
  /** Its id, once it is kept. */
  id?: string;
  /** Why it was not sent. */
  error?: Pick<SendError, "code" | "retryable"> | undefined;
}

/** A message as it is stored, so that a reload keeps it. */
interface Saved {
  readonly key: string;
  readonly text: string;
  /** The code of its final error. */
  readonly code?: string;
}

const list = byId("outbox", HTMLOListElement);
const sending = byId("sending", HTMLElement);
const sender = new Sender(room);
const entries = new Set<Entry>();

// A click removes the button. Without this, the focus would be lost with it.
list.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLButtonElement) document.getElementById("message")?.focus();
});

const own = document.querySelectorAll("#messages .own > p");
// Messages that a reload has cut off are sent again with the same key, so they are kept once.
const saved = parseJson(memory.get(MEMORY) ?? "");
for (const { key, text, code } of Array.isArray(saved) ? saved.filter(isSaved) : []) {
  const entry = makeEntry(text, key);
  if (code === undefined) {
    void send(entry);
    // The page may have it: its reply may have been lost, or cut off by the reload.
    const shown = entry.li.querySelector("p")?.textContent;
    entry.li.hidden = [...own].some((p) => p.textContent === shown);
  } else fail(entry, { code, retryable: false }, SESSION_ERRORS.includes(code) ? "not_sent" : code);
}

/** Sends a message. */
export function post(text: string): void {
  void send(makeEntry(text, randomId()));
}

/** Sends again every message that may succeed now, because the poll is live. */
export function retry(): void {
  sender.retry();
  for (const entry of entries) if (entry.error?.retryable) void send(entry);
}

/** Removes the entries of messages that the poll has brought. */
export function remove(messages: readonly Message[]): void {
  for (const { id, user, text, kind } of messages) {
    if (user !== room.user || kind !== undefined) continue;
    const all = [...entries];
    const entry =
      all.find((entry) => entry.id === id) ??
      all.find((entry) => !entry.id && !entry.li.hidden && entry.text === text);
    if (entry?.id) drop(entry);
    else if (entry) setHidden(entry, true);
  }
  changed();
}

function makeEntry(text: string, key: string): Entry {
  const entry: Entry = { key, text, li: make("li", {}) };
  entries.add(entry);
  list.append(entry.li);
  return entry;
}

async function send(entry: Entry): Promise<void> {
  const { li, text, key } = entry;
  entry.error = undefined;
  li.className = "own pending";
  fill(li, ...log.pendingItem(text).childNodes);
  changed();
  const timer = setTimeout(() => {
    li.classList.add("late");
    changed();
  }, SHOW_AFTER_MS);
  try {
    entry.id = await sender.send(text, { key });
    if (log.has(entry.id)) return drop(entry);
    setHidden(entry, false);
    li.className = "own";
    changed();
  } catch (error) {
    if (!(error instanceof SendError)) throw error;
    fail(entry, error, error.code);
  } finally {
    clearTimeout(timer);
  }
}

/** Shows why a message was not sent, and what can be done. @param reason the key of the words */
function fail(entry: Entry, error: NonNullable<Entry["error"]>, reason: string): void {
  const { li, text } = entry;
  entry.error = error;
  const isSessionError = SESSION_ERRORS.includes(error.code);
  // The class hides the button until the poll is live.
  if (SESSION_ERRORS.includes(reason)) document.body.classList.add("stopped");
  const alert = make(
    "p",
    { className: "reason" },
    words.errors[reason] ?? words.errors.unreachable ?? reason,
  );
  alert.setAttribute("role", "alert"); // Firefox has the property `role` from version 119 on
  const again = make("button", { className: "again", onclick: () => void send(entry) }, words.again);
  setHidden(entry, false);
  log.steady(() => {
    li.className = "own failed";
    fill(li, paragraph(text), alert);
    if (error.retryable || isSessionError) li.append(again, " ");
    li.append(make("button", { className: "quiet", onclick: () => drop(entry) }, words.drop));
  });
  changed();
}

function setHidden({ li }: Entry, hidden: boolean): void {
  log.steady(() => {
    li.hidden = hidden;
  });
}

function drop(entry: Entry): void {
  log.steady(() => entry.li.remove());
  entries.delete(entry);
  changed();
}

/** Groups the entries anew, shows whether one of them is late, and stores the unsent ones. */
function changed(): void {
  log.group(list);
  sending.textContent = list.querySelector(".late:not([hidden])") ? words.sending : "";
  const unsent = [...entries].filter(({ id }) => id === undefined);
  const saved = unsent.map(({ key, text, error }): Saved => {
    const code = error && !error.retryable && error.code;
    return { key, text, ...(code && { code }) };
  });
  memory.set(MEMORY, unsent.length > 0 ? JSON.stringify(saved) : "");
  // Only while it is needed: a page with this handler is not kept in Firefox's back/forward cache.
  window.onbeforeunload = unsent.length > 0 ? () => "unsent" : null;
}

/** Whether this is a stored message. It is not if the storage is corrupt or of another version of this page. */
function isSaved(value: unknown): value is Saved {
  if (!isObject<Saved>(value)) return false;
  const { key, text, code = "" } = value;
  return [key, text, code].every((field) => typeof field === "string");
}
