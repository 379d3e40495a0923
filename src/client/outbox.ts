/**
 * The user's messages that are not yet in the conversation: shown at its end until the poll brings them. The reply to a
 * post and the message in the poll come in either order. If the reply is first, the message is recognised by its id.
 * Otherwise a message of ours with the same text hides the entry, until the reply shows whether that was right.
 */
import type { Message } from "./chat.js";
import { byId, fill, make, memory, paragraph, type Words } from "./dom.js";
import type { Log } from "./log.js";
import { isObject, parseJson, randomId } from "./request.js";
import { SendError, type Sender } from "./send.js";

/** Errors after which the same message can be sent once the user has logged in again. */
const SESSION_ERRORS = ["no_session", "not_you"];

type Failure = Pick<SendError, "code" | "retryable">;
/** A shorter delay is not shown. */
const SHOW_AFTER_MS = 1000;

/** One message on its way. */
interface Entry {
  readonly key: string;
  readonly text: string;
  readonly li: HTMLLIElement;
  /** Its id, once it is kept. */
  id?: string;
  /** Why it was not sent. */
  error?: Failure | undefined;
}

/** What a reload leaves of a message. */
interface Saved {
  readonly key: string;
  readonly text: string;
  /** The code of its final error. */
  readonly code?: string;
}

/** Options of an `Outbox`. */
export interface OutboxOptions {
  readonly user: string;
  readonly words: Words;
  readonly log: Log;
  readonly sender: Sender;
  /** Called when a focused button is removed. */
  readonly focus: () => void;
}

export class Outbox {
  readonly #list = byId("outbox", HTMLOListElement);
  readonly #sending = byId("sending", HTMLElement);
  readonly #options: OutboxOptions;
  readonly #memory: string;
  readonly #entries = new Set<Entry>();

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#memory = `outbox ${location.pathname}`;
    // Messages that a reload has cut off are sent again with the same key, so they are kept once.
    const saved = parseJson(memory.get(this.#memory) ?? "");
    for (const { key, text, code } of Array.isArray(saved) ? saved.filter(isSaved) : []) {
      const entry = this.#add(text, key, options.log.hasOwn(text));
      if (code === undefined) void this.#send(entry);
      else this.#fail(entry, { code, retryable: false }, SESSION_ERRORS.includes(code) ? "not_sent" : code);
    }
  }

  /** Sends a message. */
  post(text: string): void {
    void this.#send(this.#add(text, randomId(), false));
  }

  /** Sends again what failed for want of a connection, because the poll is live. */
  retry(): void {
    this.#options.sender.retry();
    for (const entry of this.#entries) if (entry.error?.retryable) void this.#send(entry);
  }

  /** Removes the entries that the poll has brought. */
  remove(messages: readonly Message[]): void {
    for (const { id, user, text, kind } of messages) {
      if (user !== this.#options.user || kind !== undefined) continue;
      const entries = [...this.#entries];
      const known = entries.find((entry) => entry.id === id);
      if (known) this.#remove(known);
      else {
        const twin = entries.find((entry) => !entry.id && !entry.li.hidden && entry.text === text);
        if (twin) this.#hide(twin, true);
      }
    }
    this.#changed();
  }

  #add(text: string, key: string, hidden: boolean): Entry {
    const li = make("li", "");
    li.hidden = hidden;
    const entry: Entry = { key, text, li };
    this.#entries.add(entry);
    this.#list.append(li);
    return entry;
  }

  async #send(entry: Entry): Promise<void> {
    const { log, sender } = this.#options;
    entry.error = undefined;
    const { li, text, key } = entry;
    li.className = "own pending";
    fill(li, ...log.pendingItem(text).childNodes);
    this.#changed();
    const timer = setTimeout(() => {
      li.classList.add("late");
      this.#changed();
    }, SHOW_AFTER_MS);
    try {
      entry.id = await sender.send(text, { key });
    } catch (error) {
      this.#fail(entry, error instanceof SendError ? error : { code: "internal", retryable: false });
      return;
    } finally {
      clearTimeout(timer);
    }
    if (log.has(entry.id)) {
      this.#remove(entry);
      return;
    }
    this.#hide(entry, false);
    li.classList.remove("pending", "late");
    this.#changed();
  }

  /** Shows why a message was not sent, and what can be done. @param text the key of the words, if not the code */
  #fail(entry: Entry, error: Failure, text = error.code): void {
    const { words, log, focus } = this.#options;
    entry.error = error;
    const isSessionError = SESSION_ERRORS.includes(error.code);
    // The class hides the button until the poll is live.
    if (isSessionError && text === error.code) document.body.classList.add("stopped");
    const button = (className: string, label: string, act: () => void) => {
      const made = make("button", className, label);
      made.addEventListener("click", () => {
        focus();
        act();
      });
      return made;
    };
    const again = button("again", words.again, () => void this.#send(entry));
    const drop = button("quiet", words.drop, () => this.#remove(entry));
    const reason = make("p", "reason", words.errors[text] ?? words.errors.unreachable ?? text);
    reason.setAttribute("role", "alert"); // Firefox has the property `role` from version 119 on
    this.#hide(entry, false);
    entry.li.className = "own failed";
    log.steady(() => {
      fill(entry.li, paragraph(entry.text), reason);
      if (error.retryable || isSessionError) entry.li.append(again, " ");
      entry.li.append(drop);
    });
    this.#changed();
  }

  #hide({ li }: Entry, hidden: boolean): void {
    this.#options.log.steady(() => {
      li.hidden = hidden;
    });
  }

  #remove(entry: Entry): void {
    this.#options.log.steady(() => entry.li.remove());
    this.#entries.delete(entry);
    this.#changed();
  }

  /** Groups the entries anew, shows whether one of them is late, and stores the unsent ones. */
  #changed(): void {
    const { log, words } = this.#options;
    log.group(this.#list);
    const isLate = this.#list.querySelector(".late:not([hidden])") !== null;
    this.#sending.textContent = isLate ? words.sending : "";

    const left = [...this.#entries].filter(({ id }) => id === undefined);
    const saved = left.map(({ key, text, error }) => ({
      key,
      text,
      ...(error && !error.retryable && { code: error.code }),
    }));
    memory.set(this.#memory, saved.length > 0 ? JSON.stringify(saved) : "");
    // Only while it is needed: a page with this listener is not kept in Firefox's back/forward cache.
    if (saved.length > 0) addEventListener("beforeunload", warn);
    else removeEventListener("beforeunload", warn);
  }
}

/** Makes the browser ask before it closes the page. */
function warn(event: BeforeUnloadEvent): void {
  event.preventDefault();
  event.returnValue = true; // for Chrome before version 119
}

/** Whether this is a stored message. It is not if the storage is corrupt or of another version of this page. */
function isSaved(value: unknown): value is Saved {
  if (!isObject<Saved>(value)) return false;
  const { key, text, code = "" } = value;
  return [key, text, code].every((field) => typeof field === "string");
}
