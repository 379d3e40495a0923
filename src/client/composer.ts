/** The box one writes in: Enter sends, Shift+Enter makes a new line, and what is written survives a reload. */
import { byId, memory, type Words } from "./dom.js";

/** The longest message, in code points. */
const LENGTH = 2000;
/** For browsers that cannot fit a box to its text by themselves. */
const FITS = CSS.supports("field-sizing", "content");

export class Composer {
  readonly #form = byId("composer", HTMLFormElement);
  readonly #box = byId("message", HTMLTextAreaElement);
  readonly #memory = `draft ${location.pathname}`;

  /** @param post is given what is to be said */
  constructor(words: Words, post: (text: string) => void) {
    const box = this.#box;
    box.value = memory.get(this.#memory) ?? box.value;
    this.#fit();
    box.addEventListener("input", () => this.#changed());
    box.addEventListener("keydown", (event) => {
      // An input method uses Enter to choose a word; Safari says so only by the key code.
      const composing = event.isComposing || event.keyCode === 229;
      if (event.key !== "Enter" || event.shiftKey || composing) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#form.noValidate = true; // an empty box needs no telling-off, and the length is counted here
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = sayable(box.value);
      if (text.trim() === "") return;
      const length = [...text].length;
      box.setCustomValidity(length > LENGTH ? words.tooLong.replace("{n}", String(length)) : "");
      if (!box.reportValidity()) return;
      box.value = "";
      this.#changed();
      box.focus();
      post(text);
    });
  }

  /** Puts the caret into the box. */
  focus(): void {
    this.#box.focus();
  }

  #changed(): void {
    this.#box.setCustomValidity("");
    memory.set(this.#memory, this.#box.value);
    this.#fit();
  }

  #fit(): void {
    if (FITS) return;
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }
}

/** As the server will keep it: control characters, which come with text pasted from a terminal, would be refused. */
function sayable(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[^\P{Cc}\n\t]/gu, "")
    .replace(/^\n+|\n+$/g, "");
}
