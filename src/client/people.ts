/** The people who are here: always their number, and their names while the list is open. */
import type { Message } from "./chat.js";
import { byId, fill, getJson, make, room, words } from "./dom.js";

/** Shortest time between two requests while the list is open, however many people join and leave. */
const INTERVAL_MS = 2000;

const details = byId("people", HTMLDetailsElement);
const summary = byId("here", HTMLElement);
const list = byId("names", HTMLUListElement);
let shown = -1;
let timer: ReturnType<typeof setTimeout> | undefined;

details.addEventListener("toggle", () => refresh(0));
details.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !details.open) return;
  details.open = false;
  summary.focus();
});
document.addEventListener("click", ({ target }) => {
  if (target instanceof Node && !details.contains(target)) details.open = false;
});

/** Shows the number of people, and fetches their names if a notice says that somebody joined or left. */
export function update(present: number, messages: readonly Message[]): void {
  if (present === shown && messages.every(({ kind }) => kind === undefined)) return;
  showCount(present);
  refresh(INTERVAL_MS);
}

function showCount(count: number): void {
  shown = count;
  summary.textContent = words.here.replace("{n}", String(count));
}

/** Returns what two spellings of one name have in common: a host may spell it in another way than before. */
function key(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

/** Fetches the names after `ms`, unless that is due already. */
function refresh(ms: number): void {
  if (!details.open || timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    void fetchNames();
  }, ms);
}

async function fetchNames(): Promise<void> {
  const { users, count } = await getJson("who");
  // Without a reply the old list stays; the status line shows the connection.
  if (!Array.isArray(users) || typeof count !== "number") return;
  showCount(count);
  const names = users.filter((name) => typeof name === "string");
  const items = names.map((name) => {
    const mark = key(name) === key(room.user) ? [" ", make("span", { className: "quiet" }, words.you)] : [];
    return make("li", {}, make("bdi", {}, name), ...mark);
  });
  // The server lists at most 1,000.
  const rest = count - names.length;
  if (rest > 0) items.push(make("li", { className: "quiet" }, words.more.replace("{n}", String(rest))));
  fill(list, ...items);
}
