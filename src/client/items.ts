/** The items of the conversation: made as the server makes them (`chat/pages.ts`), and grouped by author and day. */
import type { Message } from "./chat.js";
import { make, paragraph, room, words } from "./dom.js";
import { nameClass } from "./markup.js";

/** Messages of one user within this time share a name and a time. */
const GROUP_MS = 180_000;

// Times are written as in the browser's locale. Dates contain words, which must be in the language of the page.
const { lang } = document.documentElement;
const locale = browserLocale() ?? lang;
const dateLocale = locale.split("-")[0] === lang.split("-")[0] ? locale : lang;
const DATE = { weekday: "long", day: "numeric", month: "long" } as const;
const TIME = { hour: "numeric", minute: "2-digit" } as const;
const timeFormat = new Intl.DateTimeFormat(locale, TIME);
const dateFormat = new Intl.DateTimeFormat(dateLocale, DATE);
const fullFormat = new Intl.DateTimeFormat(dateLocale, {
  ...DATE,
  ...TIME,
  year: "numeric",
});

/** What `place` must know about the items before the next one. */
export class Tail {
  day = new Date().toDateString();
  /** Author and time of the first message of the last group; undefined after anything else. */
  group: { readonly author: string; readonly at: number } | undefined;
}

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

/** Hides the name and time of an item that continues a group, and inserts a line before the first item of a day. */
export function place(li: HTMLLIElement, tail: Tail): void {
  const time = li.querySelector("time");
  const { group } = tail;
  tail.group = undefined;
  if (!time) return; // a message that was not sent
  const date = new Date(time.dateTime);
  const day = date.toDateString();
  const isNewDay = day !== tail.day;
  tail.day = day;
  if (isNewDay) li.before(make("li", { className: "day" }, dateFormat.format(date)));
  if (li.classList.contains("notice")) return;
  const next = { author: li.querySelector(".user")?.textContent ?? "", at: date.getTime() };
  const continues = !isNewDay && next.author === group?.author && next.at - group.at < GROUP_MS;
  tail.group = continues ? group : next;
  li.classList.toggle("more", continues);
  li.title = continues ? time.title : ""; // its own time is hidden
}

function setTime(time: HTMLTimeElement, at: number): void {
  time.dateTime = new Date(at).toISOString();
  time.textContent = timeFormat.format(at).replace(/^0(?=\d)/, "");
  time.title = fullFormat.format(at);
}

/** Returns the browser's locale; undefined if it is malformed, such as `C` on a bare Linux or `en-US@posix`. */
function browserLocale(): string | undefined {
  try {
    return Intl.getCanonicalLocales(navigator.language)[0];
  } catch {
    return undefined;
  }
}
