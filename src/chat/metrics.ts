/**
 * What `/metrics` tells of a chat. All of it is counted as it happens, so that telling costs the same for ten people and
 * for ten thousand.
 */
import { watchLoop } from "../http/loop-delay.js";
import { exposition, histogram, metric } from "../http/metrics.js";
import { HttpError, type HttpResponse } from "../http/response.js";
import type { Handler } from "../http/router.js";
import { Durations } from "./counts.js";
import type { Room } from "./room.js";

/** How often the event loop is looked at, in milliseconds. */
const TICK = 100;

export class Metrics {
  readonly #room: Room;
  /** Posts over HTTP, by what came of them: `kept`, or the code of the refusal. */
  readonly #posts: Record<string, number> = { kept: 0 };
  #bytes = 0;
  readonly #delay = new Durations([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]);
  readonly #watch: NodeJS.Timeout;

  /** Begins to watch the event loop; `stop` ends that. */
  constructor(room: Room) {
    this.#room = room;
    this.#watch = watchLoop(TICK, (late) => this.#delay.add(late / 1000));
  }

  /** Bytes of a body were sent. */
  sent(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Wraps the handler of posts, and counts its results. */
  countPosts(handler: Handler): Handler {
    return async (request) => {
      let outcome = "kept";
      try {
        return await handler(request);
      } catch (error) {
        outcome = error instanceof HttpError ? error.code : "internal";
        throw error;
      } finally {
        this.#posts[outcome] = (this.#posts[outcome] ?? 0) + 1;
      }
    };
  }

  /** The page. */
  page(): HttpResponse {
    const { feed, members, counts } = this.#room;
    const bytes = this.#bytes + counts.bytes;
    const [posts, polls] = [{ outcome: this.#posts }, { outcome: counts.polls }];
    return exposition([
      metric("gauge", "holdline_waiters", "Polls that are held.", feed.waiting),
      metric("gauge", "holdline_people", "People who are here.", members.presence.names.length),
      metric("counter", "holdline_messages_total", "Messages kept, notices too.", counts.messages),
      metric("counter", "holdline_polls_total", "Polls, by how they ended.", polls),
      metric("counter", "holdline_posts_total", "Posts over HTTP, by what came of them.", posts),
      metric("counter", "holdline_sent_bytes_total", "Bytes of reply bodies, before HTTP's own.", bytes),
      histogram("holdline_store_append_seconds", "How long the store took to keep a post.", counts.kept),
      metric(
        "counter",
        "holdline_store_failures_total",
        "Posts that the store could not keep.",
        counts.notKept,
      ),
      histogram(
        "holdline_event_loop_delay_seconds",
        "How late the event loop was, ten times a second.",
        this.#delay,
      ),
    ]);
  }

  stop(): void {
    clearInterval(this.#watch);
  }
}
