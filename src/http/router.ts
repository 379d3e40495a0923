/**
 * The router: a method and a path pattern lead to a handler. A pattern is a path whose segments may be `:name`, which
 * stands for any one segment that is not empty. Paths are compared segment by segment after percent-decoding.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { pendingRequests } from "./memory.js";
import { Request, type RequestOptions } from "./request.js";
import { HttpError, type HttpResponse, json, type Result, send } from "./response.js";
import { ServedRequest } from "./served.js";

/** Answers a request. An `HttpError` is sent as such; any other error is a fault of ours, and a 500. */
export type Handler = (request: Request) => Result | Promise<Result>;

interface Route {
  readonly segments: readonly string[];
  readonly handlers: Map<string, Handler>;
}

export interface RouterOptions extends RequestOptions {
  /** Whether the server is about to stop, so that each reply closes its connection. */
  readonly closing: () => boolean;
  /** Turns an error into a response. */
  readonly toResponse: (request: Request, error: HttpError) => HttpResponse;
  /** Called with an error that is a fault of ours. */
  readonly onError: (error: unknown) => void;
  /** Called with the bytes of each body that was sent, except those that a handler sends itself. */
  readonly onSent?: (bytes: number) => void;
}

const NOT_FOUND = new HttpError(404, "not_found", "Page not found.");
/** Plain JSON, because the code that makes pages may be what failed. */
const INTERNAL = json(500, { error: { code: "internal", message: "Something went wrong on our side." } });
/** RFC 9112, section 3.2. */
const BAD_HOST = new HttpError(400, "bad_request", "A request has one Host.", { Connection: "close" });
const BAD_PATH = new HttpError(400, "bad_request", "The path is malformed.");

/** The most requests of one connection that wait for the reply to an earlier one. One more closes the connection. */
const MAX_QUEUED = 16;
/** What Node keeps for a request that waits: its objects, and of a body what it reads before it stops the client. */
const QUEUED_BYTES = 8 * 1024;
const QUEUED_BODY_BYTES = 64 * 1024;

export class Router {
  // By first segment, which leaves two or three routes to compare. To remember where each person's path led would cost
  // memory and save no time that can be measured.
  readonly #routes = new Map<string, Route[]>();
  readonly #options: RouterOptions;
  readonly #queued = new WeakMap<Socket, number>();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Sends requests of `method` (`GET` serves `HEAD` as well) for paths like `pattern` to `handler`. */
  on(method: "GET" | "POST", pattern: string, handler: Handler): void {
    const segments = pattern.split("/");
    const [, first = ""] = segments;
    if (first.startsWith(":")) throw new RangeError(`${pattern} begins with a parameter`);
    const routes = this.#routes.get(first) ?? [];
    this.#routes.set(first, routes);
    let route = routes.find((known) => known.segments.join("/") === segments.join("/"));
    if (!route) {
      route = { segments, handlers: new Map() };
      routes.push(route);
    }
    route.handlers.set(method, handler);
    if (method === "GET") route.handlers.set("HEAD", handler);
  }

  /**
   * Answers one request, in every case exactly once.
   * @param next is called instead, with nothing done, when there is no such path, or it is malformed; without it that is a 404 or 400
   */
  handle(req: IncomingMessage, res: ServerResponse<IncomingMessage>, next?: () => void): void {
    const request = new Request(req, res, this.#options);
    let found = this.#find(request);
    if (next && found instanceof HttpError) {
      next();
      return;
    }
    if (!hasOneHost(req)) found = BAD_HOST;
    const { method, headers } = req;
    const hasBody = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
    // The body of a GET means nothing, and unread it would be kept for as long as the reply is held.
    if (hasBody && method !== "POST") req.resume();
    // Node drops what comes after a request to upgrade; a connection that lost something must not go on.
    if (req.headers.upgrade !== undefined) res.shouldKeepAlive = false;
    if (res.socket === null) this.#queue(request, found, hasBody ? QUEUED_BODY_BYTES : QUEUED_BYTES);
    else this.#run(request, found);
  }

  /**
   * Lets a pipelined request wait until the replies before it are sent: Node gives a response its socket then. After a
   * reply that closes the connection it never does, so the request is dropped. Written earlier, the reply would have to
   * be kept in memory, and Node ends the process when the connection closes before it.
   */
  #queue(request: Request, found: Route | HttpError, bytes: number): void {
    const { req, res } = request;
    const queued = (this.#queued.get(req.socket) ?? 0) + 1;
    this.#queued.set(req.socket, queued);
    if (queued > MAX_QUEUED) req.socket.destroy();
    pendingRequests.add(req.socket, bytes);
    request.wasQueued = true;
    res.once("socket", () => {
      pendingRequests.add(req.socket, -bytes);
      this.#queued.set(req.socket, (this.#queued.get(req.socket) ?? 1) - 1);
      // Node has not finished giving out the socket.
      queueMicrotask(() => this.#run(request, found));
    });
  }

  #run(request: Request, found: Route | HttpError): void {
    // A request that arrives after a closing reply was sent must change nothing (RFC 9112, 9.6).
    if (!request.res.socket?.writable) return;
    try {
      const result = this.#route(request, found);
      if (result instanceof Promise) {
        result
          .then((result) => this.#finish(request, result))
          .catch((error: unknown) => this.#fail(request, error));
      } else {
        this.#finish(request, result);
      }
    } catch (error) {
      this.#fail(request, error);
    }
  }

  #route(request: Request, found: Route | HttpError): Result | Promise<Result> {
    if (found instanceof HttpError) throw found;
    const handler = found.handlers.get(request.req.method ?? "");
    if (handler) return handler(request);
    const allow = [...found.handlers.keys()].join(", ");
    throw new HttpError(405, "method_not_allowed", `Use one of these methods: ${allow}.`, { Allow: allow });
  }

  /** Where a request's path leads. The request gets the parameters. */
  #find(request: Request): Route | HttpError {
    if (request.path === "") return NOT_FOUND;
    const segments = decodeSegments(request.path);
    if (!segments) return BAD_PATH;
    for (const route of this.#routes.get(segments[1] ?? "") ?? []) {
      const params = match(route.segments, segments);
      if (!params) continue;
      request.params = params;
      return route;
    }
    return NOT_FOUND;
  }

  #finish({ req, res }: Request, result: Result): void {
    if (typeof result !== "symbol") this.#send(res, result);
    else if (req instanceof ServedRequest && !res.writableEnded) req.hold();
  }

  #fail(request: Request, error: unknown): void {
    let fault = error;
    if (error instanceof HttpError) {
      try {
        this.#send(request.res, this.#options.toResponse(request, error));
        return;
      } catch (failure) {
        fault = failure;
      }
    }
    this.#options.onError(fault);
    // After the head of a reply, only closing the connection tells that it failed.
    if (request.res.headersSent) request.res.destroy();
    else this.#send(request.res, INTERNAL);
  }

  /** Sends a response. If that throws, because a host has wrapped `res`, it is a 500, or the connection is closed. */
  #send(res: ServerResponse, response: HttpResponse): void {
    if (this.#options.closing()) res.shouldKeepAlive = false;
    try {
      const bytes = send(res, response);
      this.#options.onSent?.(bytes);
    } catch (error) {
      this.#options.onError(error);
      if (res.headersSent || response === INTERNAL) res.destroy();
      else this.#send(res, INTERNAL);
    }
  }
}

/** Node merges two Host headers, and a proxy may use the other one. HTTP/1.0 needs none, and HTTP/2 has none. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  return hosts === 1 || (hosts === 0 && httpVersion !== "1.1");
}

/** What stands between the slashes, decoded, or undefined when it is no path or its percent-encoding is broken. */
function decodeSegments(path: string): string[] | undefined {
  if (!path.startsWith("/")) return undefined;
  const segments = path.split("/");
  if (!path.includes("%")) return segments;
  try {
    return segments.map(decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (let at = 0; at < pattern.length; at++) {
    const [expected = "", segment = ""] = [pattern[at], segments[at]];
    if (expected.startsWith(":") && segment !== "") params[expected.slice(1)] = segment;
    else if (expected !== segment) return undefined;
  }
  return params;
}
