/** The items of the conversation: the HTML of the server, with local times, grouped by author and day. */
import type { Message } from "./chat.js";
import { make, room, words } from "./dom.js";
import { itemClass, itemHtml } from "./markup.js";

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
export function makeItem(message: Message): HTMLLIElement {
  const li = make("li", { className: itemClass(message, room.user), innerHTML: itemHtml(message, words) });
  li.dataset.id = message.id;
  adopt(li);
  return li;
}

/** Completes an item of the server's HTML: the server does not know the user's time zone. */
export function adopt(li: HTMLLIElement): void {
  const time = li.querySelector("time");
  if (time) {
    time.title = fullFormat.format(dateOf(li));
    time.textContent = timeFormat.format(dateOf(li)).replace(/^0(?=\d)/, "");
  }
  // The server ends lines with <br>, for browsers without styles. With styles, a line end in the text is enough.
  for (const br of li.querySelectorAll("p br")) br.replaceWith("\n");
}

/**
 * Inserts a line before the first item of a day, and hides the name and time of an item that continues a group. It may
 * be called again when items were added or removed before these.
 * @param before the item before these, or null
 */
export function arrange(items: Iterable<HTMLLIElement>, before: HTMLLIElement | null): void {
  let last = before;
  for (const li of items) {
    if (li.previousElementSibling?.className === "day") li.previousElementSibling.remove();
    const date = dateOf(li);
    const isNewDay = date.toDateString() !== dateOf(last).toDateString();
    if (isNewDay) li.before(make("li", { className: "day" }, dateFormat.format(date)));
    // Lines contain only text.
    const isAfterLine = li.previousElementSibling?.childElementCount === 0;
    const author = authorOf(li);
    const isSame = !isAfterLine && author !== undefined && author === authorOf(last);
    const start = Number(last?.dataset.start);
    const continues = isSame && date.getTime() - start < GROUP_MS;
    li.dataset.start = String(continues ? start : date.getTime());
    li.classList.toggle("more", continues);
    li.title = continues ? (li.querySelector("time")?.title ?? "") : ""; // its own time is hidden
    last = li;
  }
}

/** Returns when a message was kept; now, if there is no message. */
function dateOf(li: HTMLLIElement | null): Date {
  return new Date(li?.querySelector("time")?.dateTime ?? Date.now());
}

/** Returns the author of a message; undefined for a notice. */
function authorOf(li: HTMLLIElement | null): string | null | undefined {
  return li?.querySelector(":scope > .user")?.textContent;
}
