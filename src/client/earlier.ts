/** The line above the oldest message. It loads earlier ones when it comes into view, or says that there are none. */
import { isKnown, isMessage } from "./chat.js";
import { byId, fill, make, type Words } from "./dom.js";
import type { Log } from "./log.js";
import type { RoomOptions } from "./options.js";
import { getJson, isObject } from "./request.js";

/** Distance from the top within which earlier messages are loaded: about a screen, so that few people wait. */
const NEAR_PX = 800;

export class Earlier {
  readonly #line = byId("history", HTMLElement);
  readonly #scroller = byId("scroller", HTMLElement);
  readonly #button = make("button", "quiet");
  readonly #room: RoomOptions;
  readonly #words: Words;
  readonly #log: Log;
  #state: "idle" | "loading" | "failed" = "idle";
  /** The id of the message with which the history begins, once it is known. */
  #first: string | undefined;

  constructor(room: RoomOptions, words: Words, log: Log) {
    this.#room = room;
    this.#words = words;
    this.#log = log;
    if (this.#line.querySelector("a")) this.#show(words.earlier);
    else this.#first = log.oldestId;
    this.#button.addEventListener("click", () => void this.#load());
    this.#scroller.addEventListener("scroll", () => this.#check(), { passive: true });
    this.#check();
  }

  /** Loads if the top is near. After a failure only the button does, or an unreachable server would be asked again and again. */
  #check(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    // The scroller is reversed: its position is 0 at the end, and negative above.
    if (this.#state === "idle" && scrollHeight - clientHeight + scrollTop < NEAR_PX) void this.#load();
  }

  async #load(): Promise<void> {
    const { user } = this.#room;
    const { earlier, loading, earlierFailed, tryAgain } = this.#words;
    const before = this.#log.oldestId;
    if (this.#state === "loading" || before === undefined || before === this.#first) return;
    this.#state = "loading";
    this.#show(loading);
    const body = await getJson(this.#room, `history/${encodeURIComponent(user)}?before=${before}`);
    const { messages, more } = isObject<{ messages: unknown; more: unknown }>(body) ? body : {};
    if (!Array.isArray(messages) || !messages.every(isMessage)) {
      this.#state = "failed";
      this.#show(tryAgain, earlierFailed);
      return;
    }
    this.#state = "idle";
    // Meanwhile the oldest messages may have been removed from the page: those before them would leave a hole.
    const isNext = this.#log.oldestId === before;
    if (isNext) this.#log.prepend(messages.filter(isKnown), messages[0]?.id ?? before);
    if (!isNext || (more === true && messages.length > 0)) {
      this.#show(earlier);
      this.#check();
      return;
    }
    this.#first = this.#log.oldestId;
    // The button disappears and must not take the focus with it.
    if (document.activeElement === this.#button) this.#scroller.focus();
    fill(this.#line, this.#words.noEarlier);
  }

  #show(label: string, note = ""): void {
    this.#button.textContent = label;
    // A button that is moved loses the focus.
    if (this.#button.parentNode !== this.#line) fill(this.#line, make("span", ""), this.#button);
    const { firstChild } = this.#line;
    if (firstChild) firstChild.textContent = note;
  }
}
