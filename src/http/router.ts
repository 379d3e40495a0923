/**
 * The router: a method and a path pattern lead to a handler, and every request gets exactly one reply. A pattern is a path
 * whose segments may be `:name`, which matches any segment that is not empty. Its text is decoded after the match.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { hasBody } from "./body.js";
import { memory, ServedRequest } from "./memory.js";
import { Request, type RequestOptions } from "./request.js";
import { badRequest, HttpError, type HttpResponse, json, type Result, send } from "./response.js";

/** Answers a request. An `HttpError` becomes its response. Any other error is a fault of ours, and a 500. */
export type Handler = (request: Request) => Result | Promise<Result>;

interface Route {
  readonly methods: readonly string[];
  /** The text before the first parameter. To compare it first is faster than the pattern. */
  readonly prefix: string;
  readonly pattern: RegExp;
  /** The names of the parameters. A pattern with named groups takes twice as long. */
  readonly names: readonly string[];
  readonly handler: Handler;
}

export interface RouterOptions extends RequestOptions {
  /** Returns whether the server is about to stop, so that each reply closes its connection. */
  readonly closing: () => boolean;
  /** Makes the response for an error. */
  readonly toResponse: (request: Request, error: HttpError) => HttpResponse;
  /** Returns the `HttpError` for another error that callers may see, else the same error. */
  readonly toHttpError?: (error: unknown) => unknown;
  /** Called with an error that is a fault of ours. */
  readonly onError: (error: unknown) => void;
  /** Called with the bytes of each body that was sent, except those that a handler sends itself. */
  readonly onSent?: (bytes: number) => void;
}

const NOT_FOUND = new HttpError(404, "not_found", "Page not found.");
/** Plain JSON, because the code that makes pages may be what failed. */
const INTERNAL = json(500, { error: { code: "internal", message: "Something went wrong on our side." } });
/** RFC 9112, section 3.2. */
const BAD_HOST = badRequest("A request has one Host.", { Connection: "close" });
const BAD_PATH = badRequest("The path is malformed.");

/** The most requests of one connection that wait for the reply to an earlier one. One more closes the connection. */
const MAX_QUEUED = 16;

export class Router {
  readonly #routes: Route[] = [];
  readonly #queued = new WeakMap<Socket, number>();

  constructor(private readonly options: RouterOptions) {
    memory.unknownBody = Math.max(memory.unknownBody, options.bodyLimit);
  }

  /** Routes requests of `method` (`GET` includes `HEAD`) for paths that match `pattern` to `handler`. */
  on(method: "GET" | "POST", pattern: string, handler: Handler): void {
    const methods = method === "GET" ? ["GET", "HEAD"] : [method];
    const path = encodeURI(pattern);
    const names = Array.from(path.matchAll(/:(\w+)/g), ([, name = ""]) => name);
    const source = path.replaceAll(".", "\\.").replace(/:\w+/g, "([^/]+)");
    const [prefix = ""] = path.split(":");
    this.#routes.push({ methods, prefix, pattern: new RegExp(`^${source}$`), names, handler });
  }

  /**
   * Answers one request, in every case exactly once.
   * @param next called instead if there is no such path or it is malformed; without it, that is a 404 or 400
   */
  handle(req: IncomingMessage, res: ServerResponse, next?: () => void): void {
    const request = new Request(req, res, this.options);
    let found = this.#find(request);
    if (next && (found === NOT_FOUND || found === BAD_PATH)) {
      next();
      return;
    }
    if (!hasOneHost(req)) found = BAD_HOST;
    // The body of a GET has no meaning. Unread, it would be kept for as long as the reply is held.
    if (req.method !== "POST" && hasBody(req)) req.resume();
    // Node drops what comes after a request to upgrade. A connection that has lost bytes must not continue.
    if (req.headers.upgrade !== undefined) res.shouldKeepAlive = false;
    if (res.socket === null) this.#queue(request, found);
    else void this.#run(request, found);
  }

  /**
   * Lets a pipelined request wait until the replies before it are sent; then Node gives its response a socket. An earlier
   * reply would stay in memory, and Node would end the process if the connection closed first. Behind a reply that closes
   * the connection the socket never comes, and the request is dropped.
   */
  #queue(request: Request, found: Handler | HttpError): void {
    const { socket } = request.req;
    const queued = (this.#queued.get(socket) ?? 0) + 1;
    this.#queued.set(socket, queued);
    if (queued > MAX_QUEUED) socket.destroy();
    request.wasQueued = true;
    request.res.once("socket", () => {
      this.#queued.set(socket, (this.#queued.get(socket) ?? 1) - 1);
      // In a microtask, because Node is still assigning the socket.
      queueMicrotask(() => this.#run(request, found));
    });
  }

  async #run(request: Request, found: Handler | HttpError): Promise<void> {
    const { req, res } = request;
    // A request that arrives after a closing reply was sent must change nothing (RFC 9112, section 9.6).
    if (!res.socket?.writable) return;
    try {
      if (found instanceof HttpError) throw found;
      const promise = found(request);
      // Without an `await`, a poll is held in the tick in which it arrives.
      const result = promise instanceof Promise ? await promise : promise;
      if (typeof result !== "symbol") this.#send(res, result);
      else if (req instanceof ServedRequest && !res.writableEnded) req.hold();
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /** Sends the response for an error. If that throws too, it sends a plain 500, or closes the connection. */
  #fail(request: Request, thrown: unknown): void {
    const { res } = request;
    const error = this.options.toHttpError?.(thrown) ?? thrown;
    const isExpected = error instanceof HttpError;
    if (!isExpected) this.options.onError(error);
    try {
      if (!res.headersSent) this.#send(res, isExpected ? this.options.toResponse(request, error) : INTERNAL);
    } catch (fault) {
      if (isExpected) this.#fail(request, fault);
    }
    // After the head of a reply, only the end of the connection reports a fault. A host may also have wrapped `res`.
    if (!res.writableEnded) res.destroy();
  }

  #send(res: ServerResponse, response: HttpResponse): void {
    if (this.options.closing()) res.shouldKeepAlive = false;
    const bytes = send(res, response);
    this.options.onSent?.(bytes);
  }

  /** Finds the handler for a request, and sets the parameters of the request. */
  #find(request: Request): Handler | HttpError {
    const { path, req } = request;
    const isEncoded = path.includes("%");
    if (isEncoded && isMalformed(path)) return BAD_PATH;
    const decode = isEncoded ? decodeURIComponent : String;
    const allowed: string[] = [];
    for (const { methods, prefix, pattern, names, handler } of this.#routes) {
      const match = path.startsWith(prefix) && pattern.exec(path);
      if (!match) continue;
      for (const [at, name] of names.entries()) request.params[name] = decode(match[at + 1] ?? "");
      if (methods.includes(req.method ?? "")) return handler;
      allowed.push(...methods);
    }
    if (allowed.length === 0) return NOT_FOUND;
    const allow = allowed.join(", ");
    return new HttpError(405, "method_not_allowed", `Use one of these methods: ${allow}.`, { Allow: allow });
  }
}

/** Node merges two Host headers, and a proxy may use the other one. HTTP/1.0 needs none, and HTTP/2 has none. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  const isHost = (text: string, at: number) =>
    at % 2 === 0 && text.length === 4 && text.toLowerCase() === "host";
  const hosts = rawHeaders.filter(isHost).length;
  return hosts === 1 || (hosts === 0 && httpVersion !== "1.1");
}

/** Returns whether the percent-encoding of a path is malformed, or its UTF-8. */
function isMalformed(path: string): boolean {
  try {
    decodeURIComponent(path);
    return false;
  } catch {
    return true;
  }
}
