/**
 * The conversation on the page: the newest at the bottom, and staying put for who reads further up.
 *
 * The scroller is a reversed column, so its place is counted from the bottom: it begins there, and stays there when
 * there is more. Messages out of view are skipped by the browser (`content-visibility`), which makes thousands of them
 * cheap; but only once they have been laid out, so that their height is known. A guess that is mended while one scrolls
 * would stop the scrolling.
 */
import { byId, make, paragraph, type Words } from "./dom.js";
import type { Message } from "./longpoll.js";

/** So many messages stay on the page; the oldest go first. */
const SHOWN = 5000;
/** Nearer to the end than this (px) is at the end. */
const NEAR = 48;
/** What somebody says within this time (ms) goes under one name and time. */
const GROUP = 180_000;

export class Log {
  readonly #scroller = byId("scroller", HTMLElement);
  readonly #list = byId("messages", HTMLOListElement);
  readonly #newer = make("button", "newer");
  readonly #ids = new Set<string>();
  readonly #user: string;
  readonly #words: Words;
  readonly #clock: Intl.DateTimeFormat;
  readonly #calendar: Intl.DateTimeFormat;
  #day = new Date().toDateString();
  /** Who spoke last, and when; undefined after anything else. */
  #last: { readonly user: string; readonly at: number } | undefined;
  #unread = 0;

  /** @param user whose page this is */
  constructor(user: string, words: Words) {
    this.#user = user;
    this.#words = words;
    // How the hour is written is the browser's affair; the words of a date must be in the page's language.
    const { lang } = document.documentElement;
    const here = navigator.language;
    const locale = here.split("-")[0] === lang.split("-")[0] ? here : lang;
    this.#clock = new Intl.DateTimeFormat(here, { hour: "2-digit", minute: "2-digit" });
    this.#calendar = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
    for (const li of this.#list.querySelectorAll("li")) this.#adopt(li);
    skipUnseen([...this.#list.children]);
    this.#newer.hidden = true;
    byId("foot", HTMLElement).prepend(this.#newer);
    this.#scroller.addEventListener("scroll", () => this.#isAtEnd() && this.#tellNewer(0), { passive: true });
    this.#newer.addEventListener("click", () => {
      this.toEnd();
      // The button goes, and the focus must not go with it; in the box it would raise a phone's keyboard.
      this.#scroller.focus();
    });
  }

  /** Whether the message with this id is shown. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether this person's own message with this text is among the last ones. */
  hasOwn(text: string): boolean {
    const own = [...this.#list.querySelectorAll("li.own > p")].slice(-20);
    return own.some((p) => p.textContent === text);
  }

  /** Appends what is not shown yet, and returns that. @param gap whether messages before these are missing */
  add(messages: readonly Message[], gap: boolean): Message[] {
    const fresh = messages.filter(({ id }) => !this.#ids.has(id));
    const items = document.createDocumentFragment();
    if (gap) {
      items.append(make("li", "gap", this.#words.gap));
      this.#last = undefined;
    }
    for (const message of fresh) {
      this.#ids.add(message.id);
      const day = this.#dayOf(message.at);
      if (day) items.append(day);
      items.append(this.#item(message));
    }
    if (items.childNodes.length > 0) this.#append(items);
    const others = fresh.filter(({ user, kind }) => user !== this.#user && kind === undefined).length;
    if (others > 0 && !this.#isAtEnd()) this.#tellNewer(this.#unread + others);
    return fresh;
  }

  /** Shows the end. */
  toEnd(): void {
    this.#scroller.scrollTop = 0;
    this.#tellNewer(0);
  }

  #append(items: DocumentFragment): void {
    const before = this.#scroller.scrollHeight;
    const reading = !this.#isAtEnd();
    const added = [...items.children];
    this.#list.append(items);
    skipUnseen(added);
    if (reading) this.#scroller.scrollTop -= this.#scroller.scrollHeight - before;
    for (const li of [...this.#list.children].slice(0, -SHOWN)) {
      if (li instanceof HTMLElement) this.#ids.delete(li.dataset.id ?? "");
      li.remove();
    }
  }

  /** A new day's line, if it is another day than that of the message before. */
  #dayOf(at: number): HTMLLIElement | undefined {
    const date = new Date(at);
    const day = date.toDateString();
    if (day === this.#day) return undefined;
    this.#day = day;
    this.#last = undefined;
    return make("li", "day", this.#calendar.format(date));
  }

  #item({ id, user, text, at, kind }: Message): HTMLLIElement {
    const name = make("bdi", "user", user);
    const time = make("time", "");
    time.dateTime = new Date(at).toISOString();
    time.textContent = this.#clock.format(at);
    const li = make("li", kind ? "notice" : user === this.#user ? "own" : "");
    li.dataset.id = id;
    if (kind) {
      const [before = "", after = ""] = this.#words[kind === "join" ? "joined" : "left"].split("{name}");
      li.append(make("p", "", before, name, after), " ", time);
    } else {
      li.append(name, " ", time, paragraph(text));
    }
    this.#group(li, kind ? undefined : { user, at });
    return li;
  }

  /** Takes over an item that was in the page: the server knows neither our time zone nor our days. */
  #adopt(li: HTMLLIElement): void {
    this.#ids.add(li.dataset.id ?? "");
    const time = li.querySelector("time");
    if (!time) return;
    const at = Date.parse(time.dateTime);
    time.textContent = this.#clock.format(at);
    const day = this.#dayOf(at);
    if (day) li.before(day);
    // Without styles only a <br> ends a line; with them it is the text's own line end.
    for (const br of li.querySelectorAll("p > br")) br.replaceWith("\n");
    const user = li.querySelector(".user")?.textContent ?? "";
    this.#group(li, li.className === "notice" ? undefined : { user, at });
  }

  /** Who goes on speaking need not be named again. */
  #group(li: HTMLLIElement, spoken: { readonly user: string; readonly at: number } | undefined): void {
    const last = this.#last;
    const more = spoken && last && spoken.user === last.user && spoken.at - last.at < GROUP;
    li.classList.toggle("more", more === true);
    // Time counts from the first one, which shows it.
    if (!more) this.#last = spoken;
  }

  #isAtEnd(): boolean {
    return this.#scroller.scrollTop > -NEAR;
  }

  #tellNewer(unread: number): void {
    this.#unread = unread;
    this.#newer.hidden = unread === 0;
    const { newMessage, newMessages } = this.#words;
    this.#newer.textContent = unread === 1 ? newMessage : newMessages.replace("{n}", String(unread));
  }
}

/** Lets the browser skip items while they are out of view. In the second frame from now they have been laid out. */
function skipUnseen(items: readonly Element[]): void {
  const skip = () => {
    for (const li of items) if (li instanceof HTMLElement) li.style.contentVisibility = "auto";
  };
  requestAnimationFrame(() => requestAnimationFrame(skip));
}
