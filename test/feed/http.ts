/** A feed behind a real server, and its clients. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerOptions } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { Feed, type FeedOptions, longPollHandler } from "../../src/feed/index.js";
import { ask } from "../wire/person.js";

interface Options extends FeedOptions<unknown> {
  readonly authorize?: (req: IncomingMessage) => boolean | Promise<boolean>;
  readonly server?: ServerOptions;
  /** Wraps the handler of the feed. */
  readonly wrap?: (handler: ReturnType<typeof longPollHandler>) => RequestListener;
}

/** A promise that is resolved from outside: something that a test waits for. */
export function awaited<T = void>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Serves a feed on a free port until the test ends. The errors that it reports are in `errors`. */
export async function start({ authorize, server: own, wrap, ...options }: Options = {}) {
  const errors: unknown[] = [];
  const feed = new Feed<unknown>({ onError: (error) => errors.push(error), ...options });
  const handler = longPollHandler(feed, authorize && { authorize });
  const server = createServer({ keepAliveTimeout: 60_000, ...own }, wrap ? wrap(handler) : handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  let count = 0;
  server.on("request", () => count++);
  /** Returns how many requests Node has read. */
  const read = () => count;
  return { feed, errors, read, server, port, url: `http://127.0.0.1:${port}/` };
}

/** A middleware that ends each reply later, as express-session does while its store saves the session. */
export function endLater(handler: RequestListener): RequestListener {
  return (req, res) => {
    const { end } = res;
    const later = (...args: Parameters<typeof end>) => {
      setImmediate(() => end.apply(res, args));
      return res;
    };
    handler(req, Object.assign(res, { end: later }));
  };
}

/** Returns the JSON of a reply. */
export async function json(url: string): Promise<Record<string, unknown>> {
  return JSON.parse((await ask(url)).body);
}

/** Returns the events of all replies in a stream. */
export function events(text: string): unknown[] {
  return [...text.matchAll(/\r\n\r\n(\{[^\r\n]*\})/g)].flatMap(([, body = "{}"]) => JSON.parse(body).events);
}
