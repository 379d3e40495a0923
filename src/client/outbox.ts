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

/** One message on its way. */
interface Entry {
  readonly key: string;
  readonly text: string;
  readonly li: HTMLLIElement;
  /** Its id, once it is kept. */
  id?: string;
  /** Whether it has failed, and may succeed later. */
  retryable?: boolean;
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
  readonly #options: OutboxOptions;
  readonly #memory: string;
  readonly #entries = new Set<Entry>();

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#memory = `outbox ${location.pathname}`;
    // Messages that a reload has cut off are sent again with the same key, so they are kept once.
    const saved = parseJson(memory.get(this.#memory) ?? "");
    for (const { key, text } of Array.isArray(saved) ? saved.filter(isSaved) : [])
      this.#add(text, key, options.log.hasOwn(text));
  }

  /** Sends a message. */
  post(text: string): void {
    this.#add(text, randomId(), false);
  }

  /** Sends again what failed for want of a connection, because the poll is live. */
  retry(): void {
    this.#options.sender.retry();
    for (const entry of this.#entries) if (entry.retryable) void this.#send(entry);
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
        if (twin) twin.li.hidden = true;
      }
    }
  }

  #add(text: string, key: string, hidden: boolean): void {
    const li = make("li", "");
    li.hidden = hidden;
    const entry = { key, text, li };
    this.#entries.add(entry);
    this.#list.append(li);
    this.#save();
    void this.#send(entry);
  }

  async #send(entry: Entry): Promise<void> {
    const { words, log, sender } = this.#options;
    entry.retryable = false;
    entry.li.className = "own pending";
    const sending = make("span", "quiet", words.sending);
    fill(entry.li, sending, paragraph(entry.text));
    try {
      entry.id = await sender.send(entry.text, { key: entry.key });
    } catch (error) {
      this.#showError(entry, error);
      return;
    }
    if (log.has(entry.id)) {
      this.#remove(entry);
      return;
    }
    entry.li.hidden = false;
    entry.li.classList.remove("pending");
    sending.remove();
    this.#save();
  }

  #showError(entry: Entry, error: unknown): void {
    const { words, focus } = this.#options;
    const { code, retryable } = error instanceof SendError ? error : { code: "internal", retryable: false };
    entry.retryable = retryable;
    const button = (className: string, label: string, act: () => void) => {
      const made = make("button", className, label);
      made.addEventListener("click", () => {
        focus();
        act();
      });
      return made;
    };
    const again = button("", words.again, () => void this.#send(entry));
    const drop = button("quiet", words.drop, () => this.#remove(entry));
    const reason = make("p", "reason", words.errors[code] ?? words.errors.unreachable ?? code);
    reason.setAttribute("role", "alert"); // Firefox has the property `role` from version 119 on
    entry.li.hidden = false;
    entry.li.className = "own failed";
    fill(entry.li, paragraph(entry.text), reason, again, " ", drop);
  }

  #remove(entry: Entry): void {
    entry.li.remove();
    this.#entries.delete(entry);
    this.#save();
  }

  #save(): void {
    const left = [...this.#entries].filter(({ id }) => id === undefined);
    const saved = left.map(({ key, text }) => ({ key, text }));
    memory.set(this.#memory, saved.length > 0 ? JSON.stringify(saved) : "");
  }
}

/** Whether this is a stored message. It is not if the storage is corrupt or of another version of this page. */
function isSaved(value: unknown): value is { readonly key: string; readonly text: string } {
  return isObject<Entry>(value) && typeof value.key === "string" && typeof value.text === "string";
}
