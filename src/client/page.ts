/** The chat page: connects its parts. The server's HTML is complete without this script, which makes it live. */
import type { Batch } from "./chat.js";
import { Composer } from "./composer.js";
import { byId, type Words } from "./dom.js";
import { Earlier } from "./earlier.js";
import { makeInvite } from "./invite.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { Sender } from "./send.js";
import { Status } from "./status.js";
import { SharedPoll } from "./tabs.js";

/** The path from this page to the chat's root. */
const BASE = "../../";
const TITLE = document.title;

const { user = "", cursor = "0" } = document.body.dataset;
const words: Words = JSON.parse(byId("strings", HTMLScriptElement).text);
const room = { base: BASE, user };

const log = new Log(user, words);
new Earlier(room, words, log);
const people = new People(words, room);
const status = new Status(words, BASE);
const composer: Composer = new Composer(words, (text) => {
  outbox.post(text);
  log.removeDivider();
  log.toEnd();
});
const outbox = new Outbox({ user, words, log, sender: new Sender(room), focus: () => composer.focus() });

const scroller = byId("scroller", HTMLElement);
const invite = makeInvite(words, BASE);
if (!document.querySelector("#messages p[dir]")) scroller.append(invite);

let unread = 0;

function show({ messages, present, gap }: Batch): void {
  const fresh = log.add(messages, gap === true);
  outbox.remove(fresh);
  people.update(
    present,
    fresh.some(({ kind }) => kind !== undefined),
  );
  if (fresh.some(({ kind }) => kind === undefined)) invite.remove();
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
  onState: (state) => {
    status.show(state);
    // Without a poll there is no session, as far as is known: nothing can be sent again.
    document.body.classList.toggle("stopped", state.name === "stopped");
    if (state.name === "live") outbox.retry();
    if (state.name === "live" || state.name === "waiting") scroller.style.visibility = "";
  },
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = TITLE;
  poll.ping();
});
// The page closes, perhaps to come back: other tabs may poll, and other people see that nobody is here.
addEventListener("pagehide", () => {
  const { client } = poll;
  poll.stop();
  // Only the tab that polls knows that no other tab does.
  if (client) navigator.sendBeacon(`${BASE}leave/${encodeURIComponent(user)}?client=${client}`);
});
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  // After a log-out, "Back" brings back a page over plain http, for anybody. It shows nothing until the session is known.
  scroller.style.visibility = "hidden";
  poll.start();
});
// A tab that the browser suspends must not keep the lock.
document.addEventListener("freeze", () => poll.stop());
document.addEventListener("resume", () => poll.start());

poll.start();
document.body.dataset.started = ""; // see fallback.ts
