/**
 * The conversation. The scroller is a reversed column, so its position counts from the bottom: it begins there and stays
 * there. The browser skips messages that are out of view (`content-visibility`), but only after they have been laid out
 * once, so that their height is known: a guess that is corrected while the user scrolls would stop the scrolling.
 */
import type { Message } from "./chat.js";
import { byId, make, paragraph, type Words } from "./dom.js";

/** Number of messages on the page; the oldest are removed. */
const MAX_SHOWN = 5000;
/** Distance from the end within which new messages are followed. */
const NEAR_PX = 48;
/** Messages of one user within this time share a name and a time. */
const GROUP_MS = 180_000;

export class Log {
  readonly #scroller = byId("scroller", HTMLElement);
  readonly #list = byId("messages", HTMLOListElement);
  readonly #newer = make("button", "newer");
  readonly #ids = new Set<string>();
  readonly #user: string;
  readonly #words: Words;
  readonly #timeFormat: Intl.DateTimeFormat;
  readonly #dateFormat: Intl.DateTimeFormat;
  #day = new Date().toDateString();
  /** Author and time of the first message of the last group; undefined after anything else. */
  #group: { readonly user: string; readonly at: number } | undefined;
  #unread = 0;

  /** @param user the user of this page */
  constructor(user: string, words: Words) {
    this.#user = user;
    this.#words = words;
    // The browser's locale decides how a time is written; a date has words, which must be in the page's language.
    const { lang } = document.documentElement;
    const locale = browserLocale() ?? lang;
    const dateLocale = locale.split("-")[0] === lang.split("-")[0] ? locale : lang;
    this.#timeFormat = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
    this.#dateFormat = new Intl.DateTimeFormat(dateLocale, {
      weekday: "long",
      day: "numeric",
      month: "long",
    });
    for (const li of this.#list.querySelectorAll("li")) this.#adopt(li);
    skipUnseen([...this.#list.children]);
    this.#newer.hidden = true;
    byId("foot", HTMLElement).prepend(this.#newer);
    this.#scroller.addEventListener("scroll", () => this.#isAtEnd() && this.#showUnread(0), {
      passive: true,
    });
    this.#newer.addEventListener("click", () => {
      this.toEnd();
      // The button disappears and must not take the focus with it; in the box, the focus would open a phone's keyboard.
      this.#scroller.focus();
    });
  }

  /** Whether the message with this id is on the page. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether one of the user's last messages has this text. */
  hasOwn(text: string): boolean {
    const own = [...this.#list.querySelectorAll("li.own > p")].slice(-20);
    return own.some((p) => p.textContent === text);
  }

  /** Appends the messages that are not on the page and returns them. @param gap whether messages before are missing */
  add(messages: readonly Message[], gap: boolean): Message[] {
    const fresh = messages.filter(({ id }) => !this.#ids.has(id));
    const items = document.createDocumentFragment();
    if (gap) {
      items.append(make("li", "gap", this.#words.gap));
      this.#group = undefined;
    }
    for (const message of fresh) {
      this.#ids.add(message.id);
      const day = this.#dayLine(message.at);
      if (day) items.append(day);
      items.append(this.#item(message));
    }
    if (items.childNodes.length > 0) this.#append(items);
    const others = fresh.filter(({ user, kind }) => user !== this.#user && kind === undefined).length;
    if (others > 0 && !this.#isAtEnd()) this.#showUnread(this.#unread + others);
    return fresh;
  }

  /** Scrolls to the end. */
  toEnd(): void {
    this.#scroller.scrollTop = 0;
    this.#showUnread(0);
  }

  #append(items: DocumentFragment): void {
    const height = this.#scroller.scrollHeight;
    const isReading = !this.#isAtEnd();
    const added = [...items.children];
    this.#list.append(items);
    skipUnseen(added);
    if (isReading) this.#scroller.scrollTop -= this.#scroller.scrollHeight - height;
    for (const li of [...this.#list.children].slice(0, -MAX_SHOWN)) {
      if (li instanceof HTMLElement) this.#ids.delete(li.dataset.id ?? "");
      li.remove();
    }
  }

  /** Returns the line of a new day, if the message before was on another day. */
  #dayLine(at: number): HTMLLIElement | undefined {
    const date = new Date(at);
    const day = date.toDateString();
    if (day === this.#day) return undefined;
    this.#day = day;
    this.#group = undefined;
    return make("li", "day", this.#dateFormat.format(date));
  }

  #item({ id, user, text, at, kind }: Message): HTMLLIElement {
    const name = make("bdi", "user", user);
    const time = make("time", "", this.#timeFormat.format(at));
    time.dateTime = new Date(at).toISOString();
    const li = make("li", kind ? "notice" : user === this.#user ? "own" : "");
    li.dataset.id = id;
    if (kind) {
      const [before = "", after = ""] = this.#words[kind === "join" ? "joined" : "left"].split("{name}");
      li.append(make("p", "", before, name, after), " ", time);
    } else li.append(name, " ", time, paragraph(text));
    this.#addToGroup(li, kind ? undefined : { user, at });
    return li;
  }

  /** Completes an item of the server's HTML: the server does not know the user's time zone. */
  #adopt(li: HTMLLIElement): void {
    this.#ids.add(li.dataset.id ?? "");
    const time = li.querySelector("time");
    if (!time) return;
    const at = Date.parse(time.dateTime);
    time.textContent = this.#timeFormat.format(at);
    const day = this.#dayLine(at);
    if (day) li.before(day);
    // Without styles only a <br> ends a line; with styles the line end of the text does.
    for (const br of li.querySelectorAll("p > br")) br.replaceWith("\n");
    const user = li.querySelector(".user")?.textContent ?? "";
    this.#addToGroup(li, li.className === "notice" ? undefined : { user, at });
  }

  /** Hides the name and time of a message that continues a group. */
  #addToGroup(li: HTMLLIElement, author: { readonly user: string; readonly at: number } | undefined): void {
    const group = this.#group;
    const continues = author && group && author.user === group.user && author.at - group.at < GROUP_MS;
    li.classList.toggle("more", continues === true);
    if (!continues) this.#group = author;
  }

  #isAtEnd(): boolean {
    return this.#scroller.scrollTop > -NEAR_PX;
  }

  #showUnread(unread: number): void {
    this.#unread = unread;
    this.#newer.hidden = unread === 0;
    const { newMessage, newMessages } = this.#words;
    this.#newer.textContent = unread === 1 ? newMessage : newMessages.replace("{n}", String(unread));
  }
}

/** Returns the browser's locale; undefined if it is malformed, such as `C` on a bare Linux or `en-US@posix`. */
function browserLocale(): string | undefined {
  try {
    return Intl.getCanonicalLocales(navigator.language)[0];
  } catch {
    return undefined;
  }
}

/** Lets the browser skip items that are out of view. In the second frame from now they have been laid out. */
function skipUnseen(items: readonly Element[]): void {
  const skip = () => {
    for (const li of items) if (li instanceof HTMLElement) li.style.contentVisibility = "auto";
  };
  requestAnimationFrame(() => requestAnimationFrame(skip));
}
