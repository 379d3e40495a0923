/**
 * The user's messages that are not yet in the conversation: shown at its end until the poll brings them. The reply to a
 * post and the message in the poll come in either order. If the reply is first, the message is recognised by its id.
 * Otherwise a message of the user with the same text hides the entry, until the reply shows whether it is that message.
 */
import type { Message } from "./chat.js";
import { byId, make, memory, room, words } from "./dom.js";
import * as log from "./log.js";
import { randomId } from "./request.js";
import { SendError, Sender } from "./send.js";

/** Errors after which the same message can be sent once the user has logged in again. */
const SESSION_ERRORS = ["no_session", "not_you"];
/** What replaces them after a reload: the user has logged in again. */
const NOT_SENT = "not_sent";
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
  error?: SendError | undefined;
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
const saved = new URLSearchParams(memory.get(MEMORY));
const [texts, codes] = [saved.getAll("text"), saved.getAll("code")];
for (const [n, key] of saved.getAll("key").entries()) {
  const entry = makeEntry(texts[n] ?? "", key);
  const code = codes[n];
  if (code) fail(entry, new SendError(SESSION_ERRORS.includes(code) ? NOT_SENT : code, "", false));
  else {
    void send(entry);
    // The page may have it: its reply may have been lost, or cut off by the reload.
    const shown = entry.li.querySelector("p")?.textContent;
    entry.li.hidden = [...own].some((p) => p.textContent === shown);
  }
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
  update(() => {
    for (const { id, user, text } of messages) {
      const all = user === room.user ? [...entries] : [];
      const entry =
        all.find((entry) => entry.id === id) ??
        all.find((entry) => !entry.id && !entry.li.hidden && entry.text === text);
      if (entry?.id) drop(entry);
      else if (entry) entry.li.hidden = true;
    }
  });
}

function makeEntry(text: string, key: string): Entry {
  const entry: Entry = { key, text, li: log.pendingItem(text) };
  entries.add(entry);
  list.append(entry.li);
  return entry;
}

async function send(entry: Entry): Promise<void> {
  const { li, text, key } = entry;
  entry.error = undefined;
  update(() => {
    li.className = "own pending";
    li.querySelector(".failure")?.remove();
  });
  const timer = setTimeout(() => update(() => li.classList.add("late")), SHOW_AFTER_MS);
  try {
    const id = await sender.send(text, { key });
    entry.id = id;
    update(() => {
      li.hidden = false;
      li.className = "own";
      if (log.has(id)) drop(entry);
    });
  } catch (error) {
    if (!(error instanceof SendError)) throw error;
    fail(entry, error);
  } finally {
    clearTimeout(timer);
  }
}

/** Shows why a message was not sent, and what can be done. */
function fail(entry: Entry, error: SendError): void {
  const { code, retryable } = error;
  entry.error = error;
  const isSessionError = SESSION_ERRORS.includes(code);
  // The class hides the button until the poll is live.
  if (isSessionError) document.body.classList.add("stopped");
  const alert = make("p", { className: "reason" }, words.errors[code] ?? words.errors.unreachable ?? code);
  alert.setAttribute("role", "alert"); // Firefox has the property `role` from version 119 on
  const again = make("button", { className: "again", onclick: () => void send(entry) }, words.again);
  const onclick = () => update(() => drop(entry));
  const buttons = [make("button", { className: "quiet", onclick }, words.drop)];
  if (retryable || isSessionError || code === NOT_SENT) buttons.unshift(again);
  update(() => {
    entry.li.hidden = false;
    entry.li.className = "own failed";
    entry.li.append(make("div", { className: "failure" }, alert, ...buttons));
  });
}

function drop(entry: Entry): void {
  entry.li.remove();
  entries.delete(entry);
}

/** Changes items. Then groups them anew, shows whether one of them is late, and stores the unsent ones. */
function update(change: () => void): void {
  log.steady(() => {
    change();
    log.group(list);
  });
  sending.textContent = list.querySelector(".late:not([hidden])") ? words.sending : "";
  const unsent = [...entries].filter(({ id }) => id === undefined);
  const fields = unsent.flatMap(({ key, text, error }) => {
    const code = error && !error.retryable ? error.code : "";
    return Object.entries({ key, text, code });
  });
  memory.set(MEMORY, new URLSearchParams(fields).toString());
  // Only while it is needed: a page with this handler is not kept in Firefox's back/forward cache.
  window.onbeforeunload = unsent.length > 0 ? () => "unsent" : null;
}
