/**
 * The user's messages that are not yet in the conversation: shown at its end until the poll brings them. The reply to a
 * post and the message in the poll come in either order. If the reply is first, the message is recognised by its id.
 * Otherwise a message of the user with the same text hides the entry, until the reply shows whether it is that message.
 */
import { type Message, SendError, Sender } from "./chat.js";
import { byId, errors, make, memory, room, words } from "./dom.js";
import { makeItem } from "./items.js";
import * as log from "./log.js";
import { randomId } from "./request.js";

/** After these errors, a message can be sent again when the user has logged in. After a reload, `not_sent` replaces the others. */
const SESSION_ERRORS = ["no_session", "not_you", "not_sent"];
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
const sender = new Sender(room);
const entries = new Set<Entry>();
byId("sending", HTMLElement).textContent = words.sending;

// A click removes the button. Without this, the focus would be lost with it.
list.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLButtonElement) document.getElementById("message")?.focus();
});

const shown = Array.from(document.querySelectorAll("#messages .own > p"), (p) => p.textContent);
// Messages that a reload has cut off are sent again with the same key, so they are kept once.
for (const [key, saved] of new URLSearchParams(memory(MEMORY) ?? "")) {
  const [, code, text] = /^(\w*) (.+)$/s.exec(saved) ?? [];
  if (text === undefined) continue;
  const entry = makeEntry(text, key);
  // The page may have it, because its reply was lost. The next reply shows whether it does.
  entry.li.hidden = shown.includes(entry.li.querySelector("p")?.textContent ?? "");
  if (code) fail(entry, new SendError(SESSION_ERRORS.includes(code) ? "not_sent" : code, "", false));
  else void send(entry);
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
  const li = makeItem({ id: "0-0", user: room.user, text, at: Date.now() });
  const entry: Entry = { key, text, li };
  entries.add(entry);
  list.append(li);
  return entry;
}

async function send(entry: Entry): Promise<void> {
  const { li, text, key } = entry;
  entry.error = undefined;
  update(() => {
    li.className = "own pending";
    li.querySelector(".failure")?.remove();
  });
  try {
    const id = await sender.send(text, key);
    entry.id = id;
    update(() => {
      li.hidden = false;
      li.className = "own";
      if (log.has(id)) drop(entry);
    });
  } catch (error) {
    if (!(error instanceof SendError)) throw error;
    fail(entry, error);
  }
}

/** Shows why a message was not sent, and what can be done. */
function fail(entry: Entry, error: SendError): void {
  const { code, retryable } = error;
  entry.error = error;
  const isSessionError = SESSION_ERRORS.includes(code);
  // The class hides the button until the poll is live.
  if (isSessionError) document.body.classList.add("stopped");
  const alert = make("p", { className: "reason" }, errors[code] ?? errors.unreachable ?? code);
  alert.setAttribute("role", "alert"); // Firefox has the property `role` from version 119 on
  const again = make("button", { className: "again", onclick: () => void send(entry) }, words.again);
  again.hidden = !retryable && !isSessionError;
  const remove = make("button", { className: "quiet", onclick: () => update(() => drop(entry)) }, words.drop);
  update(() => {
    entry.li.hidden = false;
    entry.li.className = "own failed";
    entry.li.append(make("div", { className: "failure" }, alert, again, remove));
  });
}

function drop(entry: Entry): void {
  entry.li.remove();
  entries.delete(entry);
}

/** Changes items. Then groups them anew, and stores the unsent ones. */
function update(change: () => void): void {
  log.steady(() => {
    change();
    log.group(list);
  });
  // The style shows "Sending…" and marks the items after a second.
  list.classList.toggle("sending", list.querySelector(".pending:not([hidden])") !== null);
  const unsent = [...entries].filter(({ id }) => id === undefined);
  const codeOf = ({ error }: Entry) => (error?.retryable === false ? error.code : "");
  const saved = unsent.map((entry) => [entry.key, `${codeOf(entry)} ${entry.text}`]);
  memory(MEMORY, String(new URLSearchParams(saved)));
  // Only while it is needed: a page with this handler is not kept in Firefox's back/forward cache.
  window.onbeforeunload = unsent.length > 0 ? () => "unsent" : null;
}
