/** The message box: Enter sends (not on a phone), Shift+Enter inserts a line, and a draft survives a reload. */
import { byId, memory, words } from "./dom.js";
import * as log from "./log.js";
import { post } from "./outbox.js";

/** Longest message, in code points. */
const MAX_LENGTH = 2000;
/** Length from which the box shows a counter. */
const COUNTER_FROM = 1800;
const MEMORY = `draft ${location.pathname}`;
/** On a phone, Enter inserts a line: its keyboard has no Shift+Enter. */
const isPhone = matchMedia("(pointer: coarse)");
/** Whether the browser fits a box to its text by itself. */
const FITS = CSS.supports("field-sizing", "content");

const box = byId("message", HTMLTextAreaElement);
const counter = byId("count", HTMLElement);
const form = byId("composer", HTMLFormElement);

box.removeAttribute("maxlength"); // it would cut a long paste without a message
box.title = isPhone.matches ? "" : words.hint;
box.enterKeyHint = isPhone.matches ? "enter" : "send";
box.value = memory.get(MEMORY) ?? box.value;
changed();
box.addEventListener("input", changed);
box.addEventListener("keydown", (event) => {
  // An input method uses Enter to choose a word; Safari reports that only by the key code.
  const isComposing = event.isComposing || event.keyCode === 229;
  const isLine = event.shiftKey || (isPhone.matches && !event.ctrlKey && !event.metaKey);
  if (event.key === "Enter" && !isLine && !isComposing) submit(event);
});
form.noValidate = true; // an empty box needs no warning, and the length is checked here
form.addEventListener("submit", submit);

function submit(event: Event): void {
  event.preventDefault();
  const text = clean(box.value);
  if (text.trim() === "") return;
  const length = [...text].length;
  box.setCustomValidity(length > MAX_LENGTH ? words.tooLong.replace("{n}", format(length)) : "");
  if (!box.reportValidity()) return;
  box.value = "";
  changed();
  box.focus();
  post(text);
  log.removeDivider();
  log.toEnd();
}

function changed(): void {
  const text = box.value;
  box.setCustomValidity("");
  memory.set(MEMORY, text);
  const length = text.length < COUNTER_FROM ? 0 : [...clean(text)].length;
  counter.hidden = length < COUNTER_FROM;
  counter.className = length > MAX_LENGTH ? "wrong" : "quiet";
  counter.textContent = `${format(length)} / ${format(MAX_LENGTH)}`;
  if (FITS) return;
  const { style, offsetHeight, clientHeight } = box;
  style.height = "auto";
  // The height includes the border, `scrollHeight` does not. It may be rounded down: one more pixel prevents a scrollbar.
  style.height = `${box.scrollHeight + 1 + offsetHeight - clientHeight}px`;
}

/** Returns a number as it is written in the page's language. */
function format(number: number): string {
  return number.toLocaleString(document.documentElement.lang);
}

/** Returns a text as the server keeps it. Control characters, as in text copied from a terminal, would be refused. */
function clean(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "").replace(/^\n+|\n+$/g, "");
}
