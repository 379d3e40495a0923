/** A feed behind a real server, and its clients. */
import type { IncomingMessage, RequestListener, ServerOptions } from "node:http";
import { Feed, type FeedOptions, longPollHandler } from "../../src/feed/index.js";
import { listen } from "../http/listen.js";
import { ask } from "../wire/person.js";

interface Options extends FeedOptions<unknown> {
  readonly authorize?: (req: IncomingMessage) => boolean | Promise<boolean>;
  readonly server?: ServerOptions;
  /** Wraps the handler of the feed. */
  readonly wrap?: (handler: ReturnType<typeof longPollHandler>) => RequestListener;
}

/** Serves a feed until the test ends. The errors that it reports are in `errors`. */
export async function start({ authorize, server, wrap, ...options }: Options = {}) {
  const errors: unknown[] = [];
  const feed = new Feed<unknown>({ onError: (error) => errors.push(error), ...options });
  const handler = longPollHandler(feed, authorize && { authorize });
  return { feed, errors, ...(await listen(wrap ? wrap(handler) : handler, server)) };
}

/** Returns the JSON of a reply. */
export async function json(url: string): Promise<Record<string, unknown>> {
  return JSON.parse((await ask(url)).body);
}

/** Returns the events of all replies in a stream. */
export function events(text: string): unknown[] {
  return [...text.matchAll(/\r\n\r\n(\{[^\r\n]*\})/g)].flatMap(([, body = "{}"]) => JSON.parse(body).events);
}
