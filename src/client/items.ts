/** The items of the conversation: made as the server makes them (`chat/pages.ts`), and grouped by author and day. */
import type { Message } from "./chat.js";
import { make, paragraph, room, words } from "./dom.js";
import { nameClass } from "./markup.js";

/** Messages of one user within this time share a name and a time. */
const GROUP_MS = 180_000;

// Times are written as in the browser's locale. Dates contain words, which must be in the language of the page.
// Not `navigator.language`, which may be malformed: `C` on a bare Linux.
const { locale } = new Intl.DateTimeFormat().resolvedOptions();
const { lang } = document.documentElement;
const dateLocale = locale.split("-")[0] === lang.split("-")[0] ? locale : lang;
const timeFormat = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const dateFormat = new Intl.DateTimeFormat(dateLocale, { dateStyle: "full" });
const fullFormat = new Intl.DateTimeFormat(dateLocale, { dateStyle: "full", timeStyle: "short" });

/** Returns the item of a message. */
export function makeItem({ id, user, text, at, kind }: Message): HTMLLIElement {
  const name = make("bdi", { className: nameClass(user) }, user);
  const time = make("time", {});
  setTime(time, at);
  const li = make("li", { className: kind ? "notice" : user === room.user ? "own" : "" });
  li.dataset.id = id;
  if (kind) {
    const [before = "", after = ""] = words[kind === "join" ? "joined" : "left"].split("{name}");
    li.append(make("p", {}, before, name, after), " ", time);
  } else li.append(name, " ", time, paragraph(text));
  return li;
}

/** Completes an item of the server's HTML: the server does not know the user's time zone. */
export function adopt(li: HTMLLIElement): void {
  const time = li.querySelector("time");
  if (time) setTime(time, Date.parse(time.dateTime));
  // The server ends lines with <br>, for browsers without styles. With styles, the line end of the text does it.
  for (const br of li.querySelectorAll("p br")) br.replaceWith("\n");
}

/**
 * Inserts a line before the first item of a day, and hides the name and time of an item that continues a group. It may
 * be called again when items were added or removed before these. Returns the last item.
 * @param last the item before these
 */
export function arrange(items: Iterable<HTMLLIElement>, last?: HTMLLIElement): HTMLLIElement | undefined {
  let before = last;
  for (const li of items) {
    if (li.previousElementSibling?.className === "day") li.previousElementSibling.remove();
    const date = dateOf(li);
    const isNewDay = date.toDateString() !== dateOf(before).toDateString();
    if (isNewDay) li.before(make("li", { className: "day" }, dateFormat.format(date)));
    // Lines contain only text.
    const isAfterLine = li.previousElementSibling?.childElementCount === 0;
    const author = authorOf(li);
    const isSame = !isAfterLine && author !== undefined && author === authorOf(before);
    const start = Number(before?.dataset.start);
    const continues = isSame && date.getTime() - start < GROUP_MS;
    li.dataset.start = String(continues ? start : date.getTime());
    li.classList.toggle("more", continues);
    li.title = continues ? (li.querySelector("time")?.title ?? "") : ""; // its own time is hidden
    before = li;
  }
  return before;
}

/** Returns when a message was kept; now, if there is no message. */
function dateOf(li: HTMLLIElement | undefined): Date {
  return new Date(li?.querySelector("time")?.dateTime ?? Date.now());
}

/** Returns the author of a message; undefined for a notice. */
function authorOf(li: HTMLLIElement | undefined): string | null | undefined {
  return li?.querySelector(":scope > .user")?.textContent;
}

function setTime(time: HTMLTimeElement, at: number): void {
  time.dateTime = new Date(at).toISOString();
  time.textContent = timeFormat.format(at).replace(/^0(?=\d)/, "");
  time.title = fullFormat.format(at);
}
