/** The line that shows the state of the connection, and what the user can do about it. */
import { byId, fill, make, room, words } from "./dom.js";
import type { State } from "./options.js";

/** A shorter "connecting" is not shown: a screen reader would read each one aloud. */
const SHOW_AFTER_MS = 800;

const status = byId("status", HTMLElement);
let timer: ReturnType<typeof setTimeout> | undefined;

/** Shows a state. The class of the line is the state's name. */
export function show(state: State): void {
  clearTimeout(timer);
  const line = make("span", {}, ...describe(state));
  const replace = () => {
    status.className = state.name;
    // An unchanged text would be read aloud again.
    if (status.textContent !== line.textContent) fill(status, line);
  };
  if (state.name === "connecting") timer = setTimeout(replace, SHOW_AFTER_MS);
  else replace();
}

function describe(state: State): (Node | string)[] {
  if (state.name === "waiting") return describeFailure(state.code);
  if (state.name !== "stopped") return [words[state.name]];
  const { reason } = state;
  if (reason === "no_session") return [words.no_session, " ", make("a", { href: room.base }, words.logIn)];
  if (reason === "not_you") return [otherName(), " ", make("a", { href: room.base }, words.reload)];
  // The page does not show `aborted`.
  return [words[reason === "aborted" ? "refused" : reason], " ", make("a", { href: "./" }, words.reload)];
}

function describeFailure(code: string): (Node | string)[] {
  if (!navigator.onLine) return [words.offline];
  if (code === "draining") return [words.restarting];
  // When the page is loaded again, the user sees the page of the firewall or the log-in of the Wi-Fi.
  if (code === "bad_answer") return [words.lost, " ", make("a", { href: "./" }, words.reload)];
  return [(code === "too_many_waiters" ? words.errors[code] : undefined) ?? words.lost];
}

/** Returns a text that says that this browser is logged in under another name. The name follows when it is known. */
function otherName(): Node {
  const text = make("span", {}, words.errors.not_you ?? "");
  // The chat's root redirects to the user's room. HEAD changes nothing.
  void fetch(room.base, { method: "HEAD" }).then(
    ({ url }) => {
      const [, name] = /\/chatroom\/([^/]+)\/$/.exec(url) ?? [];
      const [before = "", after = ""] = words.not_you.split("{name}");
      if (name) fill(text, before, make("bdi", {}, decodeURIComponent(name)), after);
    },
    () => {},
  );
  return text;
}
