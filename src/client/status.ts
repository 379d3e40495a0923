/** How the connection is, in words, and what to do about it. */
import { byId, make, type Words } from "./dom.js";
import type { State } from "./longpoll.js";

/** What lasts no longer than this (ms) is not worth a word: it would only be noise for who listens to the page. */
const PATIENCE = 800;

export class Status {
  readonly #line = byId("status", HTMLElement);
  readonly #words: Words;
  readonly #base: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param base the way from the page to the chat's root */
  constructor(words: Words, base: string) {
    this.#words = words;
    this.#base = base;
    // A held poll may take half a minute to find out.
    addEventListener("offline", () => {
      if (this.#line.className === "stopped") return;
      this.show({ name: "waiting", until: 0, code: "offline", message: "" });
    });
  }

  /** Shows a state. The class of the line is the state's name. */
  show(state: State): void {
    clearTimeout(this.#timer);
    const show = () => {
      const line = make("span", "", ...this.#say(state));
      this.#line.className = state.name;
      // The same words again would be read out again.
      if (this.#line.textContent !== line.textContent) this.#line.replaceChildren(line);
    };
    if (state.name === "connecting") this.#timer = setTimeout(show, PATIENCE);
    else show();
  }

  #say(state: State): (Node | string)[] {
    const words = this.#words;
    switch (state.name) {
      case "connecting":
      case "live":
        return [words[state.name]];
      case "waiting":
        return [this.#trouble(state.code)];
      case "stopped":
        return state.reason === "aborted" ? [] : [words[state.reason], " ", this.#remedy(state.reason)];
    }
  }

  #trouble(code: string): string {
    const { offline, restarting, errors, lost } = this.#words;
    if (!navigator.onLine) return offline;
    if (code === "draining") return restarting;
    return (code === "too_many_waiters" ? errors[code] : undefined) ?? lost;
  }

  #remedy(reason: "superseded" | "no_session" | "not_you" | "refused"): Node {
    const { logIn, reload } = this.#words;
    const link = make("a", "", reason === "no_session" ? logIn : reload);
    // The chat's root leads everybody to where they may be.
    link.href = reason === "no_session" || reason === "not_you" ? this.#base : "./";
    return link;
  }
}
