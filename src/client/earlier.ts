/** The line above the oldest message. It loads earlier ones when it comes into view, or says when the kept ones begin. */
import { isKnown, isMessage } from "./chat.js";
import { byId, fill, getJson, make, room, words } from "./dom.js";
import * as log from "./log.js";
import { isObject } from "./request.js";

/** Distance from the top within which earlier messages are loaded: about a screen, so that few people wait. */
const NEAR_PX = 800;

const line = byId("history", HTMLElement);
const scroller = byId("scroller", HTMLElement);
const note = make("span", {});
const button = make("button", { className: "quiet" });
let state: "idle" | "loading" | "failed" = "idle";
/** The id of the message with which the history begins, once it is known. */
let first: string | undefined;

if (line.querySelector("a")) show(words.earlier);
else showBeginning();
button.addEventListener("click", () => void load());
scroller.addEventListener("scroll", check, { passive: true });
check();

/** Loads if the top is near. After a failure only the button loads, so that scrolling sends no flood of requests. */
function check(): void {
  const { scrollTop, scrollHeight, clientHeight } = scroller;
  // The scroller is reversed: its position is 0 at the end, and negative above.
  if (state === "idle" && scrollHeight - clientHeight + scrollTop < NEAR_PX) void load();
}

async function load(): Promise<void> {
  const before = log.oldestId();
  if (state === "loading" || before === undefined || before === first) return;
  state = "loading";
  show(words.loading);
  const body = await getJson(`history/${encodeURIComponent(room.user)}?before=${before}`);
  const { messages, more } = isObject<{ messages: unknown; more: unknown }>(body) ? body : {};
  if (!Array.isArray(messages) || !messages.every(isMessage)) {
    state = "failed";
    show(words.tryAgain, words.earlierFailed);
    return;
  }
  state = "idle";
  log.prepend(messages.filter(isKnown));
  if (more === true && log.oldestId() !== before) {
    show(words.earlier);
    check();
    return;
  }
  // The button disappears and must not take the focus with it.
  if (document.activeElement === button) scroller.focus();
  showBeginning();
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
