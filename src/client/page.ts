/** The chat page: connects its parts. The server's HTML is complete without this script, which makes it live. */
import "./composer.js";
import type { Batch } from "./chat.js";
import { byId, room } from "./dom.js";
import * as earlier from "./earlier.js";
import { invite } from "./invite.js";
import * as log from "./log.js";
import * as outbox from "./outbox.js";
import * as people from "./people.js";
import * as status from "./status.js";
import { SharedPoll } from "./tabs.js";

const scroller = byId("scroller", HTMLElement);
if (!document.querySelector("#messages p[dir]")) scroller.append(invite);

function show({ messages, present, gap }: Batch): void {
  const fresh = log.add(messages, gap === true);
  outbox.remove(fresh);
  people.update(present, fresh);
  earlier.begin();
  if (fresh.some(({ kind }) => kind === undefined)) invite.remove();
}

const poll = new SharedPoll({
  ...room,
  since: document.body.dataset.cursor ?? "0",
  name: `holdline ${new URL(room.base, location.href).pathname} ${room.user}`,
  onBatch: show,
  onState: (state) => {
    status.show(state);
    // A stopped poll mostly means that the session has ended: nothing can be sent again.
    document.body.classList.toggle("stopped", state.name === "stopped");
    if (state.name === "live") outbox.retry();
    if (state.name === "live" || state.name === "waiting") scroller.style.visibility = "";
  },
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) poll.start();
});
// The page closes, perhaps to come back. Another tab may poll now, or other people see that the user has left.
addEventListener("pagehide", () => {
  const { client } = poll;
  poll.stop();
  // If another tab polls, the user is still here.
  if (client) navigator.sendBeacon(`${room.base}leave/${encodeURIComponent(room.user)}?client=${client}`);
});
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  // Over plain http, "Back" shows the page even after a log-out. It stays hidden until the session is known to be valid.
  scroller.style.visibility = "hidden";
  poll.start();
});

poll.start();
document.body.dataset.started = ""; // see fallback.ts
