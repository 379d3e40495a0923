/**
 * The chat page. The server's HTML is whole without this script; here it is made live. The parts know little of each
 * other: this file tells each what concerns it.
 */
import { Composer } from "./composer.js";
import { byId, type Words } from "./dom.js";
import { Log } from "./log.js";
import type { Batch } from "./longpoll.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { sender } from "./send.js";
import { Status } from "./status.js";
import { SharedPoll } from "./tabs.js";

/** The way from this page to the chat's root. */
const BASE = "../../";
const TITLE = document.title;

const { user = "", cursor = "0" } = document.body.dataset;
const words: Words = JSON.parse(byId("strings", HTMLScriptElement).text);
const room = { base: BASE, user };

const log = new Log(user, words);
const people = new People(words, room);
const status = new Status(words, BASE);
const composer: Composer = new Composer(words, (text) => {
  outbox.post(text);
  log.toEnd();
});
const outbox = new Outbox({ user, words, log, send: sender(room), focus: () => composer.focus() });

let unread = 0;

function show({ messages, present, gap }: Batch): void {
  const fresh = log.add(messages, gap === true);
  outbox.arrived(fresh);
  people.update(
    present,
    fresh.some(({ kind }) => kind !== undefined),
  );
  if (!document.hidden) return;
  unread += fresh.filter((message) => message.user !== user && message.kind === undefined).length;
  document.title = unread > 0 ? `(${unread}) ${TITLE}` : TITLE;
}

const poll = new SharedPoll({
  ...room,
  since: cursor,
  name: `holdline ${new URL(BASE, location.href).pathname} ${user}`,
  locks: navigator.locks,
  isVisible: () => !document.hidden,
  onBatch: show,
  onState: (state) => status.show(state),
});

/** The page goes away, perhaps to come back: lets others poll, and others see that nobody is here. */
function leave(): void {
  const { client } = poll;
  poll.stop();
  // Only a tab that polls knows that no other does.
  if (client) navigator.sendBeacon(`${BASE}leave/${encodeURIComponent(user)}?client=${client}`);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = TITLE;
  poll.greet();
});
addEventListener("pagehide", leave);
addEventListener("pageshow", ({ persisted }) => persisted && poll.start());
// A tab that the browser suspends must not keep the lock.
document.addEventListener("freeze", () => poll.stop());
document.addEventListener("resume", () => poll.start());

poll.start();
