/** The header: the state of the connection, and the people who are here: their number, and their names if the list is open. */
import type { Message } from "./chat.js";
import { byId, errors, getJson, make, room, words } from "./dom.js";
import { escapeHtml, nameItem } from "./markup.js";
import type { State } from "./poll.js";

/** A shorter "connecting" is not shown: a screen reader would read each one aloud. */
const SHOW_AFTER_MS = 800;
/** Shortest time between two requests while the list is open, however many people join and leave. */
const INTERVAL_MS = 2000;

/** The text of each state, and of each reason to wait or stop. */
const texts: Readonly<Record<string, string>> = words;
const status = byId("status", HTMLElement);
const details = byId("people", HTMLDetailsElement);
const summary = byId("here", HTMLElement);
const list = byId("names", HTMLUListElement);
let statusTimer: ReturnType<typeof setTimeout> | undefined;
let listTimer: ReturnType<typeof setTimeout> | undefined;

details.addEventListener("toggle", () => refresh(0));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !details.open) return;
  if (details.contains(document.activeElement)) summary.focus();
  details.open = false;
});
document.addEventListener("click", ({ target }) => {
  if (target instanceof Node && !details.contains(target)) details.open = false;
});

/** Shows the state of the connection. The class of the line is the state's name. */
export function showState(state: State): void {
  clearTimeout(statusTimer);
  const line = make("span", {}, ...describe(state));
  const replace = () => {
    status.className = state.name;
    // An unchanged text would be read aloud again.
    if (status.textContent !== line.textContent) status.replaceChildren(line);
  };
  if (state.name === "connecting") statusTimer = setTimeout(replace, SHOW_AFTER_MS);
  else replace();
}

function describe(state: State): (Node | string)[] {
  if (state.name === "waiting" && !navigator.onLine) return [words.offline];
  const what = state.name === "stopped" ? state.reason : state.name === "waiting" ? state.code : state.name;
  const text = what === "not_you" ? otherName() : (texts[what] ?? words.lost);
  // When the page is loaded again, the user sees the page of the firewall or the log-in of the Wi-Fi.
  if (state.name !== "stopped" && what !== "bad_answer") return [text];
  // The server leads on to the log-in, or to the room of another user.
  const label = what === "no_session" ? words.logIn : words.reload;
  return [text, " ", make("a", { href: "./" }, label)];
}

/** Returns a text that says that this browser is logged in under another name. The name follows when it is known. */
function otherName(): Node {
  const text = make("span", {}, errors.not_you ?? "");
  // The chat's root redirects to the user's room. HEAD changes nothing.
  const show = ({ url }: Response) => {
    const [, name = ""] = /\/chatroom\/([^/]+)\/$/.exec(url) ?? [];
    const html = `<bdi>${escapeHtml(decodeURIComponent(name))}</bdi>`;
    if (name) text.innerHTML = words.not_you.replace("{name}", () => html);
  };
  void fetch(room.base, { method: "HEAD" }).then(show, () => {});
  return text;
}

/** Shows the number of people, and fetches their names if somebody joined or left. */
export function showPresent(present: number, messages: readonly Message[]): void {
  summary.textContent = words.here.replace("{n}", String(present));
  if (present !== list.childElementCount || messages.some(({ kind }) => kind)) refresh(INTERVAL_MS);
}

/** Fetches the names after `ms` if the list is open, unless that is due already. */
function refresh(ms: number): void {
  if (!details.open || listTimer) return;
  listTimer = setTimeout(async () => {
    listTimer = undefined;
    const { users, count } = await getJson(`${room.base}who`);
    // Without a reply the old list stays; the status line shows the connection.
    if (!Array.isArray(users) || typeof count !== "number") return;
    summary.textContent = words.here.replace("{n}", String(count));
    list.innerHTML = users.map((name: unknown) => nameItem(String(name), room.user, words)).join("");
  }, ms);
}
