/**
 * The conversation. The scroller is a reversed column, so its position counts from the bottom: it begins there and stays
 * there. The browser skips messages that are out of view (`content-visibility`), but only after they have been laid out
 * once, so that their height is known: a guess that is corrected while the user scrolls would stop the scrolling.
 */
import type { Message } from "./chat.js";
import { byId, make, paragraph, type Words } from "./dom.js";
import { Items, Tail } from "./items.js";

/** Number of messages on the page; the oldest are removed. */
const MAX_SHOWN = 5000;
/** Distance from the end within which new messages are followed. */
const NEAR_PX = 48;

export class Log {
  readonly #scroller = byId("scroller", HTMLElement);
  readonly #list = byId("messages", HTMLOListElement);
  /** Earlier messages have a list of their own: screen readers read aloud what is added to the other one. */
  readonly #earlier = byId("earlier", HTMLOListElement);
  readonly #newer = make("button", "newer");
  /** The line above the messages that arrived while nobody looked at the end. */
  readonly #divider: HTMLLIElement;
  readonly #ids = new Set<string>();
  readonly #user: string;
  readonly #words: Words;
  readonly #items: Items;
  readonly #tail = new Tail();
  #unread = 0;
  #oldestId: string | undefined;

  /** @param user the user of this page */
  constructor(user: string, words: Words) {
    this.#user = user;
    this.#words = words;
    this.#items = new Items(user, words);
    this.#divider = make("li", "new", words.newHere);
    for (const li of this.#list.querySelectorAll("li")) {
      this.#ids.add(li.dataset.id ?? "");
      this.#items.adopt(li);
      const day = this.#items.place(li, this.#tail);
      if (day) li.before(day);
    }
    this.#oldestId = this.#first()?.dataset.id;
    skipUnseen([...this.#list.children]);
    this.#newer.hidden = true;
    byId("foot", HTMLElement).prepend(this.#newer);
    this.#scroller.addEventListener("scroll", () => this.#isSeen() && this.#showUnread(0), {
      passive: true,
    });
    this.#newer.addEventListener("click", () => {
      this.toEnd();
      // The button disappears and must not take the focus with it; in the box, the focus would open a phone's keyboard.
      this.#scroller.focus();
    });
    document.addEventListener("visibilitychange", () => {
      if (this.#isSeen()) this.#showUnread(0);
      // The messages below the line were seen before the tab was hidden.
      else if (this.#unread === 0) this.removeDivider();
    });
  }

  /** Whether the message with this id is on the page. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether one of the user's last messages has this text. */
  hasOwn(text: string): boolean {
    const own = [...this.#list.querySelectorAll("li.own > p")].slice(-20);
    const { textContent } = paragraph(text);
    return own.some((p) => p.textContent === textContent);
  }

  /** Appends the messages that are not on the page and returns them. @param gap whether messages before are missing */
  add(messages: readonly Message[], gap: boolean): Message[] {
    const fresh = messages.filter(({ id }) => !this.#ids.has(id));
    const others = fresh.filter(({ user, kind }) => user !== this.#user && kind === undefined);
    const isUnseen = others.length > 0 && !this.#isSeen();
    const dividedAt = isUnseen && this.#unread === 0 ? others[0]?.id : undefined;
    if (dividedAt) this.removeDivider();
    const items = document.createDocumentFragment();
    if (gap) {
      items.append(make("li", "gap", this.#words.gap));
      this.#tail.group = undefined;
    }
    items.append(this.#render(fresh, this.#tail, dividedAt));
    if (items.childNodes.length > 0) this.#append(items);
    if (isUnseen) this.#showUnread(this.#unread + others.length);
    return fresh;
  }

  /** The id of the oldest message on the page: earlier ones are before it. Undefined if there is none. */
  get oldestId(): string | undefined {
    return this.#oldestId;
  }

  /**
   * Inserts earlier messages above all others. The position counts from the end, so the view does not move.
   * @param oldestId the id from which on all messages are on the page now
   */
  prepend(messages: readonly Message[], oldestId: string): void {
    const tail = new Tail();
    const fresh = messages.filter(({ id }) => !this.#ids.has(id));
    const items = this.#render(fresh, tail);
    this.#oldestId = oldestId;
    const first = this.#first();
    if (first) {
      // It was the first of its day and its group on the page.
      const { previousElementSibling: day } = first;
      if (day?.className === "day") day.remove();
      const newDay = this.#items.place(first, tail);
      if (newDay) items.append(newDay);
    }
    skipUnseen([...items.children]);
    this.#earlier.prepend(items);
  }

  /** Returns an item for a message that is not kept yet. */
  pendingItem(text: string): HTMLLIElement {
    return this.#items.item({ id: "0-0", user: this.#user, text, at: Date.now() });
  }

  /** Groups the items of a list as if they followed the newest message. */
  group(list: HTMLOListElement): void {
    const tail = Object.assign(new Tail(), this.#tail);
    for (const li of list.querySelectorAll("li")) if (!li.hidden) this.#items.place(li, tail);
  }

  /** Makes a change at the end. Whoever reads further up sees nothing move. */
  steady(change: () => void): void {
    // Not `scrollHeight`, which is rounded.
    const height = () => this.#scroller.firstElementChild?.getBoundingClientRect().height ?? 0;
    const before = this.#isAtEnd() ? undefined : height();
    change();
    if (before !== undefined) this.#scroller.scrollTop -= height() - before;
  }

  /** Removes the line above the new messages. Whoever reads below or above it sees nothing move. */
  removeDivider(): void {
    const isAbove = this.#divider.getBoundingClientRect().top < this.#scroller.getBoundingClientRect().top;
    // The position counts from the end, so a change above the view does not move it.
    if (isAbove) this.#divider.remove();
    else this.steady(() => this.#divider.remove());
  }

  /** Scrolls to the end. */
  toEnd(): void {
    this.#scroller.scrollTop = 0;
    this.#showUnread(0);
  }

  #append(items: DocumentFragment): void {
    skipUnseen([...items.children]);
    this.steady(() => this.#list.append(items));
    this.#oldestId ??= this.#first()?.dataset.id;
    const surplus = [...this.#earlier.children, ...this.#list.children].slice(0, -MAX_SHOWN);
    if (surplus.length === 0) return;
    for (const li of surplus) {
      if (li instanceof HTMLElement) this.#ids.delete(li.dataset.id ?? "");
      li.remove();
    }
    const first = this.#first();
    this.#oldestId = first?.dataset.id;
    first?.classList.remove("more");
  }

  /** Returns the items of messages with the lines of new days. @param dividedAt the id of the first new message, if any */
  #render(messages: readonly Message[], tail: Tail, dividedAt?: string): DocumentFragment {
    const items = document.createDocumentFragment();
    for (const message of messages) {
      this.#ids.add(message.id);
      if (message.id === dividedAt) tail.group = undefined;
      const li = this.#items.item(message);
      const day = this.#items.place(li, tail);
      if (day) items.append(day);
      if (message.id === dividedAt) items.append(this.#divider);
      items.append(li);
    }
    return items;
  }

  #first(): HTMLLIElement | null {
    return this.#scroller.querySelector<HTMLLIElement>("li[data-id]");
  }

  #isAtEnd(): boolean {
    return this.#scroller.scrollTop > -NEAR_PX;
  }

  /** Whether the user sees the newest message. */
  #isSeen(): boolean {
    return !document.hidden && this.#isAtEnd();
  }

  #showUnread(unread: number): void {
    this.#unread = unread;
    this.#newer.hidden = unread === 0 || this.#isAtEnd();
    const { newMessage, newMessages } = this.#words;
    this.#newer.textContent = unread === 1 ? newMessage : newMessages.replace("{n}", String(unread));
  }
}

/** Lets the browser skip items that are out of view. In the second frame from now they have been laid out. */
function skipUnseen(items: readonly Element[]): void {
  const skip = () => {
    for (const li of items) if (li instanceof HTMLElement) li.style.contentVisibility = "auto";
  };
  requestAnimationFrame(() => requestAnimationFrame(skip));
}
