/**
 * The conversation. The scroller is a reversed column, so its position counts from the bottom: it begins there and stays
 * there. The browser skips messages that are out of view (`content-visibility`), but only after they have been laid out
 * once, so that their height is known: a guess that is corrected while the user scrolls would stop the scrolling.
 */
import type { Message } from "./chat.js";
import { byId, make, room, words } from "./dom.js";
import { adopt, arrange, makeItem } from "./items.js";

/** Number of messages on the page; the oldest are removed. */
const MAX_SHOWN = 5000;
/** Distance from the end within which new messages are followed. */
const NEAR_PX = 48;
const TITLE = document.title;

const scroller = byId("scroller", HTMLElement);
const list = byId("messages", HTMLOListElement);
/** Earlier messages have a list of their own: screen readers read aloud what is added to the other one. */
const earlier = byId("earlier", HTMLOListElement);
const newer = make("button", { className: "newer", hidden: true });
/** The line above the messages that arrived while nobody looked at the end. */
const divider = make("li", { className: "new" }, words.newHere);
/** Number of messages of others that arrived while nobody looked at the end. */
let unread = 0;

const inPage = list.querySelectorAll("li");
for (const li of inPage) adopt(li);
/** The newest message. */
let newest = arrange(inPage);
skipUnseen([...list.children]);
byId("foot", HTMLElement).prepend(newer);
newer.addEventListener("click", () => {
  toEnd();
  // The button disappears and must not take the focus with it; in the box, the focus would open a phone's keyboard.
  scroller.focus();
});
scroller.addEventListener("scroll", () => isSeen() && showUnread(0), { passive: true });
document.addEventListener("visibilitychange", () => {
  if (isSeen()) showUnread(0);
  // The messages below the line were seen before the tab was hidden.
  else if (unread === 0) removeDivider();
});

/** Whether the message with this id is on the page. */
export function has(id: string): boolean {
  return scroller.querySelector(`[data-id="${id}"]`) !== null;
}

/** Returns the id of the oldest message on the page: earlier ones are before it. Undefined if there is none. */
export function oldestId(): string | undefined {
  return firstItem()?.dataset.id;
}

/** Appends the messages that are not on the page and returns them. @param gap whether messages before are missing */
export function add(messages: readonly Message[], gap: boolean): Message[] {
  const fresh = messages.filter(({ id }) => !has(id));
  const others = fresh.filter(({ user, kind }) => user !== room.user && kind === undefined);
  const isUnseen = others.length > 0 && !isSeen();
  const dividedAt = isUnseen && unread === 0 ? others[0] : undefined;
  if (dividedAt) removeDivider();
  const items = document.createDocumentFragment();
  if (gap) items.append(make("li", { className: "gap" }, words.gap));
  for (const message of fresh) {
    if (message === dividedAt) items.append(divider);
    items.append(makeItem(message));
  }
  newest = arrange(items.querySelectorAll("li[data-id]"), newest);
  skipUnseen([...items.children]);
  steady(() => list.append(items));
  removeSurplus();
  if (isUnseen) showUnread(unread + others.length);
  return fresh;
}

/** Inserts earlier messages above all others. The position counts from the end, so the view does not move. */
export function prepend(messages: readonly Message[]): void {
  const items = messages.filter(({ id }) => !has(id)).map(makeItem);
  const first = firstItem();
  earlier.prepend(...items);
  // The first item was the first of its day and of its group. It may not be any more.
  arrange(first ? [...items, first] : items);
  skipUnseen(items);
}

/** Returns an item for a message that is not kept yet. */
export function pendingItem(text: string): HTMLLIElement {
  const li = makeItem({ id: "0-0", user: room.user, text, at: Date.now() });
  delete li.dataset.id;
  return li;
}

/** Groups the items of a list as if they followed the newest message. */
export function group(pending: HTMLOListElement): void {
  for (const day of pending.querySelectorAll(".day")) day.remove();
  arrange(pending.querySelectorAll("li:not([hidden])"), newest);
}

/** Makes a change at the end. The view of a reader further up does not move. */
export function steady(change: () => void): void {
  // Not `scrollHeight`, which is rounded.
  const height = () => scroller.firstElementChild?.getBoundingClientRect().height ?? 0;
  const before = isAtEnd() ? undefined : height();
  change();
  if (before !== undefined) scroller.scrollTop -= height() - before;
}

/** Removes the line above the new messages. The view of a reader below or above it does not move. */
export function removeDivider(): void {
  const isAbove = divider.getBoundingClientRect().top < scroller.getBoundingClientRect().top;
  // The position counts from the end, so a change above the view does not move it.
  if (isAbove) divider.remove();
  else steady(() => divider.remove());
}

/** Scrolls to the end. */
export function toEnd(): void {
  scroller.scrollTop = 0;
  showUnread(0);
}

/** Removes the oldest items from a page with too many, unless the user may be reading them. */
function removeSurplus(): void {
  if (!isAtEnd()) return;
  const all = scroller.querySelectorAll<HTMLLIElement>("#earlier > li, #messages > li");
  if (all.length <= MAX_SHOWN) return;
  for (const li of [...all].slice(0, -MAX_SHOWN)) li.remove();
  firstItem()?.classList.remove("more");
}

function firstItem(): HTMLLIElement | null {
  return scroller.querySelector<HTMLLIElement>("li[data-id]");
}

function isAtEnd(): boolean {
  return scroller.scrollTop > -NEAR_PX;
}

/** Whether the user sees the newest message. */
function isSeen(): boolean {
  return !document.hidden && isAtEnd();
}

function showUnread(count: number): void {
  unread = count;
  newer.hidden = count === 0 || isAtEnd();
  newer.textContent = count === 1 ? words.newMessage : words.newMessages.replace("{n}", String(count));
  document.title = count > 0 ? `(${count}) ${TITLE}` : TITLE;
}

/** Lets the browser skip items that are out of view. In the second frame from now they have been laid out. */
function skipUnseen(items: readonly Element[]): void {
  const skip = () => {
    for (const li of items) if (li instanceof HTMLElement) li.style.contentVisibility = "auto";
  };
  requestAnimationFrame(() => requestAnimationFrame(skip));
}
