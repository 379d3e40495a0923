/**
 * The metrics of a chat, in Prometheus' text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/. Everything is counted as it happens.
 */
import { type HttpResponse, text } from "../http/response.js";

/** Values by what follows the name of the metric: a suffix, or a label in braces. */
type Samples = Readonly<Record<string, number>>;

export class Metrics {
  /** Polls by how they ended. `immediate`: the wait was 0; `full`: too many polls were held. */
  readonly polls = {
    events: 0,
    timeout: 0,
    superseded: 0,
    canceled: 0,
    disconnected: 0,
    drained: 0,
    immediate: 0,
    full: 0,
  };
  /** Posts over HTTP by their result: `kept`, or the code of the error. */
  readonly posts: Record<string, number> = { kept: 0 };
  /** Messages that were kept, including notices. */
  messages = 0;
  /** How long the store took for posts, in seconds, and how many they were. Their quotient is the mean. */
  readonly appends = { _sum: 0, _count: 0 };

  /** Counts a post over HTTP. @param outcome `kept`, or the code of the error */
  countPost(outcome: string): void {
    this.posts[outcome] = (this.posts[outcome] ?? 0) + 1;
  }

  /**
   * Returns the page.
   * @param waiting how many polls are held
   * @param present how many members are present
   */
  page(waiting: number, present: number): HttpResponse {
    const metrics = [
      metric("gauge", "holdline_waiters", "Polls that are held.", waiting),
      metric("gauge", "holdline_people", "Members who are present.", present),
      metric("counter", "holdline_messages_total", "Messages kept, including notices.", this.messages),
      metric("counter", "holdline_polls_total", "Polls by how they ended.", byOutcome(this.polls)),
      metric("counter", "holdline_posts_total", "Posts over HTTP by their result.", byOutcome(this.posts)),
      metric("summary", "holdline_store_append_seconds", "Time to keep a post in the store.", this.appends),
    ];
    return text(200, metrics.join(""), { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
  }
}

/** Returns a metric. The name of a counter ends in `_total`. `value` is one value, or several samples. */
function metric(type: string, name: string, help: string, value: number | Samples): string {
  const samples = Object.entries(typeof value === "number" ? { "": value } : value);
  const lines = samples.map(([suffix, value]) => `${name}${suffix} ${value}\n`).join("");
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}`;
}

/** Returns one sample for each outcome. The outcomes are our own words and need no escapes. */
function byOutcome(values: Samples): Samples {
  return Object.fromEntries(Object.entries(values).map(([of, value]) => [`{outcome="${of}"}`, value]));
}
