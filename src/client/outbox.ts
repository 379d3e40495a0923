/**
 * What was said here and is not yet in the conversation. It is shown at once, at the end and marked, until it comes
 * back by the poll in the order that holds for everybody.
 *
 * The answer to a post and the message in the poll come in either order. Has the answer come first, the message is known
 * by its id. Until it has come, a message of ours with the same text is taken for it, and ours is hidden: the
 * answer will tell whether that was right.
 */
import { byId, make, memory, paragraph, type Words } from "./dom.js";
import type { Log } from "./log.js";
import type { Message } from "./longpoll.js";
import { isObject, randomId } from "./request.js";
import { SendError, type SendOptions } from "./send.js";

/** One message on its way. */
interface Entry {
  readonly key: string;
  readonly text: string;
  readonly li: HTMLLIElement;
  /** Its id, once it is kept. */
  id?: string;
}

/** What the outbox needs. */
export interface OutboxOptions {
  readonly user: string;
  readonly words: Words;
  readonly log: Log;
  readonly send: (text: string, options: SendOptions) => Promise<string>;
  /** Called when the focus would be lost with a button that goes. */
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
    // What a reload has cut off is sent again, with its key, so that it is kept once.
    for (const { key, text } of unsent(memory.get(this.#memory))) {
      this.#add(text, key, options.log.hasOwn(text));
    }
  }

  /** Says something. */
  post(text: string): void {
    this.#add(text, randomId(), false);
  }

  /** Tells of what the poll brought. */
  arrived(messages: readonly Message[]): void {
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
    const li = make("li", "own pending");
    li.hidden = hidden;
    const entry = { key, text, li };
    this.#entries.add(entry);
    this.#list.append(li);
    this.#save();
    void this.#send(entry);
  }

  async #send(entry: Entry): Promise<void> {
    const { words, log, send } = this.#options;
    entry.li.className = "own pending";
    const sending = make("span", "quiet", words.sending);
    entry.li.replaceChildren(sending, paragraph(entry.text));
    try {
      entry.id = await send(entry.text, { key: entry.key });
      if (log.has(entry.id)) {
        this.#remove(entry);
        return;
      }
      entry.li.hidden = false;
      entry.li.classList.remove("pending");
      sending.remove();
      this.#save();
    } catch (error) {
      this.#failed(entry, error instanceof SendError ? error.code : "internal");
    }
  }

  #failed(entry: Entry, code: string): void {
    const { words, focus } = this.#options;
    const { errors } = words;
    const again = make("button", "", words.again);
    const drop = make("button", "quiet", words.drop);
    again.addEventListener("click", () => {
      focus();
      void this.#send(entry);
    });
    drop.addEventListener("click", () => {
      focus();
      this.#remove(entry);
    });
    const reason = make("p", "reason", errors[code] ?? errors.unreachable ?? code);
    reason.role = "alert";
    entry.li.hidden = false;
    entry.li.className = "own failed";
    entry.li.replaceChildren(paragraph(entry.text), reason, again, " ", drop);
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

/** What was remembered; nothing if another version of this page remembered it otherwise. */
function unsent(saved: string | undefined): { key: string; text: string }[] {
  const entries: unknown = saved ? JSON.parse(saved) : [];
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown) => {
    if (!isObject<Entry>(entry)) return [];
    const { key, text } = entry;
    return typeof key === "string" && typeof text === "string" ? [{ key, text }] : [];
  });
}
