/** The message box: Enter sends, Shift+Enter inserts a line, and a draft survives a reload. */
import { byId, memory, type Words } from "./dom.js";

/** Longest message, in code points. */
const MAX_LENGTH = 2000;
/** Whether the browser fits a box to its text by itself. */
const FITS = CSS.supports("field-sizing", "content");

export class Composer {
  readonly #box = byId("message", HTMLTextAreaElement);
  readonly #memory = `draft ${location.pathname}`;

  /** @param post receives each message */
  constructor(words: Words, post: (text: string) => void) {
    const form = byId("composer", HTMLFormElement);
    const box = this.#box;
    const submit = (event: Event) => {
      event.preventDefault();
      const text = clean(box.value);
      if (text.trim() === "") return;
      const length = [...text].length;
      box.setCustomValidity(length > MAX_LENGTH ? words.tooLong.replace("{n}", String(length)) : "");
      if (!box.reportValidity()) return;
      box.value = "";
      this.#changed();
      box.focus();
      post(text);
    };
    box.value = memory.get(this.#memory) ?? box.value;
    this.#fit();
    box.addEventListener("input", () => this.#changed());
    box.addEventListener("keydown", (event) => {
      // An input method uses Enter to choose a word; Safari reports that only by the key code.
      const isComposing = event.isComposing || event.keyCode === 229;
      if (event.key === "Enter" && !event.shiftKey && !isComposing) submit(event);
    });
    form.noValidate = true; // an empty box needs no warning, and the length is checked here
    form.addEventListener("submit", submit);
  }

  /** Moves the focus into the box. */
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

/** Returns a text as the server keeps it. Control characters, as in text copied from a terminal, would be refused. */
function clean(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[^\P{Cc}\n\t]/gu, "")
    .replace(/^\n+|\n+$/g, "");
}
