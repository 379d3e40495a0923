/** The line above the oldest message. It loads earlier ones when it comes into view, or says when the kept ones begin. */
import { isKnown, isMessage } from "./chat.js";
import { byId, fill, getJson, make, room, words } from "./dom.js";
import * as log from "./log.js";

/** How far above the view the line may be when earlier messages are loaded: about a screen, so that few people wait. */
const NEAR = "800px";

const line = byId("history", HTMLElement);
const scroller = byId("scroller", HTMLElement);
const note = make("span", {});
const button = make("button", { className: "quiet" });
let isLoading = false;
/** The id of the message with which the history begins, once it is known. */
let first: string | undefined;

if (line.querySelector("a")) show(words.earlier);
else showBeginning();
button.addEventListener("click", () => void load());
const observer = new IntersectionObserver(
  (entries) => entries.some(({ isIntersecting }) => isIntersecting) && void load(),
  { root: scroller, rootMargin: NEAR },
);
observer.observe(line);

async function load(): Promise<void> {
  const before = log.oldestId();
  if (isLoading || before === undefined || before === first) return;
  isLoading = true;
  // After a failure only the button loads, so that scrolling sends no flood of requests.
  observer.unobserve(line);
  show(words.loading);
  const { messages, more } = await getJson(`history/${encodeURIComponent(room.user)}?before=${before}`);
  isLoading = false;
  if (!Array.isArray(messages) || !messages.every(isMessage))
    return show(words.tryAgain, words.earlierFailed);
  log.prepend(messages.filter(isKnown));
  // The observer reports the line again if it is still near.
  observer.observe(line);
  if (more === true && log.oldestId() !== before) return show(words.earlier);
  // The button disappears and must not take the focus with it.
  if (document.activeElement === button) scroller.focus();
  showBeginning();
}

/** Says when the history begins, after the first message of a room that was empty. */
export function begin(): void {
  if (line.textContent === "") showBeginning();
}

function showBeginning(): void {
  first = log.oldestId();
  const time = scroller.querySelector("time");
  if (time) fill(line, words.begins.replace("{date}", time.title));
}

function show(label: string, text = ""): void {
  button.textContent = label;
  note.textContent = text;
  // A button that is moved loses the focus.
  if (button.parentNode !== line) fill(line, note, button);
}
