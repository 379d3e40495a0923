/**
 * The conversation. The scroller is a reversed column, so its position counts from the bottom: it begins there and stays
 * there. At its top, a line loads earlier messages when it comes into view, or says when the kept ones begin.
 */
import { type Message, toMessages } from "./chat.js";
import { byId, getJson, make, room, words } from "./dom.js";
import { adopt, arrange, makeItem } from "./items.js";
import { roomUrl } from "./request.js";

/** Number of messages on the page; the oldest are removed. */
const MAX_SHOWN = 2000;
/** Distance from the end within which new messages are followed. */
const NEAR_PX = 48;
/** How far above the view the line is when it loads earlier messages: about a screen, so that few people wait. */
const NEAR_TOP = "800px";
const TITLE = document.title;

export const scroller = byId("scroller", HTMLElement);
const list = byId("messages", HTMLOListElement);
const newer = make("button", { className: "newer", hidden: true });
/** The line above the messages that arrived while nobody looked at the end. */
const divider = make("li", { className: "new" }, words.newHere);
/** Number of messages of others that arrived while nobody looked at the end. */
let unread = 0;
/** The line at the top. */
const line = byId("history", HTMLElement);
const note = make("span", {});
const button = make("button", { className: "quiet", hidden: true, onclick: () => void loadEarlier() });

const inPage = list.querySelectorAll("li");
for (const li of inPage) adopt(li);
arrange(inPage, null);
if (line.querySelector("a")) showTop("", words.earlier);
else showBeginning();
line.replaceChildren(note, button);
const observer = new IntersectionObserver(
  (entries) => entries.some(({ isIntersecting }) => isIntersecting) && void loadEarlier(),
  { root: scroller, rootMargin: NEAR_TOP },
);
observer.observe(line);
byId("foot", HTMLElement).prepend(newer);
newer.addEventListener("click", () => {
  toEnd();
  // The button disappears and must not take the focus with it; in the box, the focus would open a phone's keyboard.
  scroller.focus();
});
scroller.addEventListener("scroll", () => isNewestVisible() && showUnread(0), { passive: true });
document.addEventListener("visibilitychange", () => {
  if (isNewestVisible()) showUnread(0);
  // The messages below the line were seen before the tab was hidden.
  else if (unread === 0) removeDivider();
});

/** Whether the message with this id is on the page. */
export function has(id: string): boolean {
  return scroller.querySelector(`[data-id="${id}"]`) !== null;
}

/** Appends the messages that are not on the page and returns them. @param gap whether messages before are missing */
export function add(messages: readonly Message[], gap: boolean): Message[] {
  const fresh = messages.filter(({ id }) => !has(id));
  const others = fresh.filter(({ user, kind }) => user !== room.user && kind === undefined);
  const isUnseen = others.length > 0 && !isNewestVisible();
  const items = document.createDocumentFragment();
  if (gap) items.append(make("li", { className: "gap" }, words.gap));
  items.append(...fresh.map(makeItem));
  if (isUnseen && unread === 0) {
    removeDivider();
    items.querySelector(`[data-id="${others[0]?.id}"]`)?.before(divider);
  }
  arrange(items.querySelectorAll("li[data-id]"), newest());
  steady(() => list.append(items));
  removeSurplus();
  if (line.textContent === "") showBeginning();
  if (isUnseen) showUnread(unread + others.length);
  return fresh;
}

/** Groups the items of a list as if they followed the newest message. */
export function group(pending: HTMLOListElement): void {
  for (const day of pending.querySelectorAll(".day")) day.remove();
  arrange(pending.querySelectorAll("li:not([hidden])"), newest());
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
  const all = scroller.querySelectorAll<HTMLLIElement>("#earlier > li, #messages > li");
  if (all.length <= MAX_SHOWN || !isAtEnd()) return;
  for (const li of [...all].slice(0, -MAX_SHOWN)) li.remove();
  firstItem()?.classList.remove("more");
  showTop("", words.earlier);
}

/** Inserts earlier messages above all others. The position counts from the end, so the view does not move. */
async function loadEarlier(): Promise<void> {
  const first = firstItem();
  if (button.hidden || !first) return;
  // After a failure only the button loads, so that scrolling sends no flood of requests.
  observer.unobserve(line);
  showTop("", words.loading);
  const { messages, more } = await getJson(`${roomUrl(room, "history")}?before=${first.dataset.id}`);
  // They do not fit any more: after a second click, or when the oldest items were removed.
  if (first !== firstItem()) return observer.observe(line);
  const found = toMessages(messages);
  if (!found) return showTop(words.earlierFailed, words.tryAgain);
  const items = found.filter(({ id }) => !has(id)).map(makeItem);
  // A list of their own: screen readers read aloud what is added to the other one.
  byId("earlier", HTMLOListElement).prepend(...items);
  // The first item was the first of its day and of its group. It may not be any more.
  arrange([...items, first], null);
  // The observer reports the line again if it is still near.
  observer.observe(line);
  if (more === true && items.length > 0) return showTop("", words.earlier);
  // The button disappears and must not take the focus with it.
  if (document.activeElement === button) scroller.focus();
  showBeginning();
}

/** Says when the history begins, once there is a message. */
function showBeginning(): void {
  const time = scroller.querySelector("time");
  if (time) showTop(words.begins.replace("{date}", time.title));
}

function showTop(text: string, label = ""): void {
  note.textContent = text;
  button.textContent = label;
  button.hidden = label === "";
}

function firstItem(): HTMLLIElement | null {
  return scroller.querySelector<HTMLLIElement>("li[data-id]");
}

/** Returns the newest message. */
function newest(): HTMLLIElement | null {
  return list.querySelector<HTMLLIElement>("li:last-child");
}

function isAtEnd(): boolean {
  return scroller.scrollTop > -NEAR_PX;
}

/** Whether the user sees the newest message. */
function isNewestVisible(): boolean {
  return !document.hidden && isAtEnd();
}

function showUnread(count: number): void {
  unread = count;
  newer.hidden = count === 0 || isAtEnd();
  newer.textContent = count === 1 ? words.newMessage : words.newMessages.replace("{n}", String(count));
  document.title = count > 0 ? `(${count}) ${TITLE}` : TITLE;
}
