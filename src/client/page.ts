/** The chat page: connects its parts. The server's HTML is complete without this script, which makes it live. */
import { byId, make, memory, room, words } from "./dom.js";
import * as header from "./header.js";
import * as log from "./log.js";
import * as outbox from "./outbox.js";
import { roomUrl } from "./request.js";
import { SharedPoll } from "./tabs.js";

/** How long "Copied" is shown. */
const SHOW_COPIED_MS = 2000;
/** Longest message, in code points. */
const MAX_LENGTH = 2000;
/** Length from which the message box shows a counter. */
const COUNTER_FROM = 1800;
const DRAFT = `draft ${location.pathname}`;
/** On a phone, Enter inserts a line: its keyboard has no Shift+Enter. */
const isPhone = matchMedia("(pointer: coarse)");

/** The invitation in a room without messages: the address to share, and a button that copies it. */
const root = new URL(room.base, location.href);
const address = make("input", { readOnly: true, value: root.href });
const copy = make("button", {}, words.copy);
const invite = make("section", { className: "invite" }, make("p", {}, words.invite), address, copy);
address.setAttribute("aria-label", words.invite);
copy.setAttribute("aria-live", "polite");
copy.addEventListener("click", () => {
  // The address is selected, so that the user can copy it if the script may not: without permission, or over plain http.
  address.select();
  const show = () => {
    copy.textContent = words.copied;
    setTimeout(() => copy.replaceChildren(words.copy), SHOW_COPIED_MS);
  };
  navigator.clipboard?.writeText(address.value).then(show, () => {});
});
if (!document.querySelector("#messages p[dir]")) log.scroller.append(invite);

const poll = new SharedPoll({
  ...room,
  since: document.body.dataset.cursor ?? "0",
  name: `holdline ${root.pathname} ${room.user}`,
  onBatch: ({ messages, present, gap }) => {
    const fresh = log.add(messages, gap === true);
    outbox.remove(fresh);
    header.showPresent(present, fresh);
    if (fresh.some(({ kind }) => kind === undefined)) invite.remove();
  },
  onState: (state) => {
    header.showState(state);
    // A stopped poll mostly means that the session has ended: nothing can be sent again.
    document.body.classList.toggle("stopped", state.name === "stopped");
    if (state.name === "live") outbox.retry();
    if (state.name === "live" || state.name === "waiting") log.scroller.style.visibility = "";
  },
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) poll.start();
});
// The page closes, perhaps to come back. Another tab may poll now, or other people see that the user has left.
addEventListener("pagehide", () => {
  const { client } = poll;
  poll.stop();
  // If another tab polls, the user is still here.
  if (client) navigator.sendBeacon(`${roomUrl(room, "leave")}?client=${client}`);
});
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  // Over plain http, "Back" shows the page even after a log-out. It stays hidden until the session is known to be valid.
  log.scroller.style.visibility = "hidden";
  poll.start();
});

poll.start();

// The message box comes last. If something before it fails, the form stays as it is without the script.
const box = byId("message", HTMLTextAreaElement);
const counter = byId("count", HTMLElement);
box.removeAttribute("maxlength"); // it would cut a long paste without a message
box.title = isPhone.matches ? "" : words.hint;
box.value = memory(DRAFT) || box.value;
showText();
box.addEventListener("input", showText);
box.addEventListener("keydown", (event) => {
  // An input method uses Enter to choose a word; Safari reports that only by the key code.
  const isComposing = event.isComposing || event.keyCode === 229;
  const isLine = event.shiftKey || (isPhone.matches && !event.ctrlKey && !event.metaKey);
  if (event.key === "Enter" && !isLine && !isComposing) submit(event);
});
byId("composer", HTMLFormElement).addEventListener("submit", submit);

function submit(event: Event): void {
  event.preventDefault();
  const text = clean(box.value);
  if (text.trim() === "" || !box.reportValidity()) return;
  box.value = "";
  showText();
  box.focus();
  outbox.post(text);
  log.removeDivider();
  log.toEnd();
}

/** Remembers the text in the box, counts it, and lets the box grow with it. */
function showText(): void {
  const text = box.value;
  memory(DRAFT, text);
  const length = text.length < COUNTER_FROM ? 0 : [...clean(text)].length;
  const isLong = length > MAX_LENGTH;
  box.setCustomValidity(isLong ? words.tooLong.replace("{n}", String(length)) : "");
  counter.hidden = length < COUNTER_FROM;
  counter.className = isLong ? "wrong" : "quiet";
  counter.textContent = `${length} / ${MAX_LENGTH}`;
  byId("box", HTMLElement).dataset.text = text;
}

/** Returns a text as the server keeps it. Control characters, as in text copied from a terminal, would be refused. */
function clean(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "").replace(/^\n+|\n+$/g, "");
}

document.body.dataset.started = ""; // see fallback.ts
