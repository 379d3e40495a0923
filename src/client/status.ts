/** The line that shows the state of the connection, and what the user can do about it. */
import { byId, fill, make, type Words } from "./dom.js";
import type { State, StopReason } from "./options.js";

/** A shorter "connecting" is not shown: a screen reader would read each one aloud. */
const SHOW_AFTER_MS = 800;

export class Status {
  readonly #line = byId("status", HTMLElement);
  readonly #words: Words;
  readonly #base: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param base the path from the page to the chat's root */
  constructor(words: Words, base: string) {
    this.#words = words;
    this.#base = base;
  }

  /** Shows a state. The class of the line is the state's name. */
  show(state: State): void {
    clearTimeout(this.#timer);
    const show = () => {
      const line = make("span", "", ...this.#describe(state));
      this.#line.className = state.name;
      // An unchanged text would be read aloud again.
      if (this.#line.textContent !== line.textContent) fill(this.#line, line);
    };
    if (state.name === "connecting") this.#timer = setTimeout(show, SHOW_AFTER_MS);
    else show();
  }

  #describe(state: State): (Node | string)[] {
    const words = this.#words;
    if (state.name === "waiting") return this.#trouble(state.code);
    if (state.name !== "stopped") return [words[state.name]];
    if (state.reason === "aborted") return [];
    const text = state.reason === "not_you" ? this.#otherName() : words[state.reason];
    return [text, " ", this.#remedy(state.reason)];
  }

  #trouble(code: string): (Node | string)[] {
    const { offline, restarting, errors, lost } = this.#words;
    if (!navigator.onLine) return [offline];
    if (code === "draining") return [restarting];
    // A firewall or the log-in page of a Wi-Fi shows itself when the page is loaded again.
    if (code === "bad_answer") return [lost, " ", this.#remedy("refused")];
    return [(code === "too_many_waiters" ? errors[code] : undefined) ?? lost];
  }

  /** Says that this browser is logged in under another name, and under which one as soon as that is known. */
  #otherName(): Node {
    const { errors, not_you } = this.#words;
    const text = make("span", "", errors.not_you ?? "");
    // The chat's root redirects to the user's room. HEAD changes nothing.
    void fetch(this.#base, { method: "HEAD" }).then(
      ({ url }) => {
        const [, name] = /\/chatroom\/([^/]+)\/$/.exec(url) ?? [];
        const [before = "", after = ""] = not_you.split("{name}");
        if (name) fill(text, before, make("bdi", "", decodeURIComponent(name)), after);
      },
      () => {},
    );
    return text;
  }

  #remedy(reason: StopReason): Node {
    const { logIn, reload } = this.#words;
    const link = make("a", "", reason === "no_session" ? logIn : reload);
    // The chat's root redirects to a page that the user may see.
    link.href = reason === "no_session" || reason === "not_you" ? this.#base : "./";
    return link;
  }
}
