/** The message box: Enter sends (not on a phone), Shift+Enter inserts a line, and a draft survives a reload. */
import { byId, memory, type Words } from "./dom.js";

/** Longest message, in code points. */
const MAX_LENGTH = 2000;
/** Length from which the box shows a counter. */
const COUNTER_FROM = 1800;
/** On a phone, Enter inserts a line: its keyboard has no Shift+Enter. */
const isPhone = matchMedia("(pointer: coarse)");
/** Whether the browser fits a box to its text by itself. */
const FITS = CSS.supports("field-sizing", "content");

export class Composer {
  readonly #box = byId("message", HTMLTextAreaElement);
  readonly #count = byId("count", HTMLElement);
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
      box.setCustomValidity(length > MAX_LENGTH ? words.tooLong.replace("{n}", format(length)) : "");
      if (!box.reportValidity()) return;
      box.value = "";
      this.#changed();
      box.focus();
      post(text);
    };
    box.removeAttribute("maxlength"); // it would cut a long paste without a word
    box.title = isPhone.matches ? "" : words.hint;
    box.enterKeyHint = isPhone.matches ? "enter" : "send";
    box.value = memory.get(this.#memory) ?? box.value;
    this.#changed();
    box.addEventListener("input", () => this.#changed());
    box.addEventListener("keydown", (event) => {
      // An input method uses Enter to choose a word; Safari reports that only by the key code.
      const isComposing = event.isComposing || event.keyCode === 229;
      const isLine = event.shiftKey || (isPhone.matches && !event.ctrlKey && !event.metaKey);
      if (event.key === "Enter" && !isLine && !isComposing) submit(event);
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
    const text = this.#box.value;
    const length = text.length < COUNTER_FROM ? 0 : [...clean(text)].length;
    this.#count.hidden = length < COUNTER_FROM;
    this.#count.className = length > MAX_LENGTH ? "wrong" : "quiet";
    this.#count.textContent = `${format(length)} / ${format(MAX_LENGTH)}`;
    this.#fit();
  }

  #fit(): void {
    if (FITS) return;
    const { style, offsetHeight, clientHeight } = this.#box;
    style.height = "auto";
    // The height includes the border, `scrollHeight` does not.
    style.height = `${this.#box.scrollHeight + offsetHeight - clientHeight}px`;
  }
}

/** Returns a number as it is written in the page's language. */
function format(number: number): string {
  return number.toLocaleString(document.documentElement.lang);
}

/** Returns a text as the server keeps it. Control characters, as in text copied from a terminal, would be refused. */
function clean(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[^\P{Cc}\n\t]/gu, "")
    .replace(/^\n+|\n+$/g, "");
}
