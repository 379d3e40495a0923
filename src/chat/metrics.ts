/** The metrics of a chat. Everything is counted as it happens, so `/metrics` costs the same for any number of people. */
import { watchLoop } from "../http/loop-delay.js";
import { Histogram, labels, metric } from "../http/metrics.js";
import { type HttpResponse, text } from "../http/response.js";

const LOOP_CHECK_MS = 100;
/** The upper bounds of the buckets of both histograms. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export class Metrics {
  /** Polls by how they ended. `immediate`: the wait was 0; `full`: there was no room. */
  readonly polls = {
    ...{ events: 0, timeout: 0, superseded: 0, canceled: 0, disconnected: 0, drained: 0 },
    ...{ immediate: 0, full: 0 },
  };
  /** Posts over HTTP by their result: `kept`, or the code of the error. */
  readonly posts: Record<string, number> = { kept: 0 };
  /** Bytes of the bodies that were sent. */
  bytes = 0;
  /** Messages that were kept, including notices. */
  messages = 0;
  /** How long the store took to keep a post. */
  readonly appends = new Histogram(SECONDS);
  readonly #loopDelay = new Histogram(SECONDS);

  /** Starts to measure the delay of the event loop. Ends with `clearInterval`. */
  watchLoop(): NodeJS.Timeout {
    return watchLoop(LOOP_CHECK_MS, (delayMs) => this.#loopDelay.add(delayMs / 1000));
  }

  /** Counts a post over HTTP. @param outcome `kept`, or the code of the error */
  countPost(outcome: string): void {
    this.posts[outcome] = (this.posts[outcome] ?? 0) + 1;
  }

  /** Returns the page. @param waiting how many polls are held @param present how many members are present */
  page(waiting: number, present: number): HttpResponse {
    const [polls, posts] = [labels("outcome", this.polls), labels("outcome", this.posts)];
    const [appends, delays] = [this.appends.samples, this.#loopDelay.samples];
    const metrics = [
      metric("gauge", "holdline_waiters", "Polls that are held.", waiting),
      metric("gauge", "holdline_people", "Members who are present.", present),
      metric("counter", "holdline_messages_total", "Messages kept, including notices.", this.messages),
      metric("counter", "holdline_polls_total", "Polls by how they ended.", polls),
      metric("counter", "holdline_posts_total", "Posts over HTTP by their result.", posts),
      metric("counter", "holdline_sent_bytes_total", "Bytes of reply bodies.", this.bytes),
      metric("histogram", "holdline_store_append_seconds", "Time to keep a post in the store.", appends),
      metric("histogram", "holdline_event_loop_delay_seconds", "Delay of the event loop.", delays),
    ];
    return text(200, metrics.join(""), { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
  }
}
