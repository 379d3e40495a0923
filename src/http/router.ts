/**
 * The router: a method and a path pattern lead to a handler, and every request gets exactly one reply. A pattern is a path.
 * Its second segment may be `*`, which matches any text and becomes `Request.param`.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { hasBody } from "./body.js";
import { memory, ServedRequest } from "./memory.js";
import { Request, type RequestOptions } from "./request.js";
import { badRequest, HttpError, type HttpResponse, json, type Result, send } from "./response.js";

/** Answers a request. An `HttpError` becomes its response. Any other error is a fault of ours, and a 500. */
export type Handler = (request: Request) => Result | Promise<Result>;

export interface RouterOptions extends RequestOptions {
  /** Returns whether the server is about to stop, so that each reply closes its connection. */
  readonly closing: () => boolean;
  /** Makes the response for an error. */
  readonly toResponse: (request: Request, error: HttpError) => HttpResponse;
  /** Returns the `HttpError` for another error that callers may see, else the same error. */
  readonly toHttpError?: (error: unknown) => unknown;
  /** Called with an error that is a fault of ours. */
  readonly onError: (error: unknown) => void;
}

const NOT_FOUND = new HttpError(404, "not_found", "Page not found.");
/** Plain JSON, because the code that makes pages may be what failed. */
const INTERNAL = json(500, { error: { code: "internal", message: "Something went wrong on our side." } });
/** For a request with no Host, or with several (RFC 9112, section 3.2). */
const BAD_HOST = badRequest("A request needs exactly one Host header.", { Connection: "close" });

/** The most requests of one connection that wait for the reply to an earlier one. One more closes the connection. */
const MAX_QUEUED = 16;

export class Router {
  /** Handlers by pattern and then by method. */
  readonly #routes = new Map<string, Map<string, Handler>>();
  readonly #queued = new WeakMap<Socket, number>();

  constructor(private readonly options: RouterOptions) {
    memory.unknownBody = Math.max(memory.unknownBody, options.bodyLimit);
  }

  /** Routes requests of `method` (`GET` includes `HEAD`) for paths that match `pattern` to `handler`. */
  on(method: "GET" | "POST", pattern: string, handler: Handler): void {
    const methods = this.#routes.get(pattern) ?? new Map<string, Handler>();
    methods.set(method, handler);
    if (method === "GET") methods.set("HEAD", handler);
    this.#routes.set(pattern, methods);
  }

  /**
   * Answers one request, in every case exactly once.
   * @param next called instead if there is no such path; without it, that is a 404
   */
  handle(req: IncomingMessage, res: ServerResponse, next?: () => void): void {
    const request = new Request(req, res, this.options);
    let found = this.#find(request);
    if (next && found === NOT_FOUND) return void next();
    if (!hasOneHost(req)) found = BAD_HOST;
    // The body of a GET has no meaning. Unread, it would be kept for as long as the reply is held.
    if (req.method !== "POST" && hasBody(req)) req.resume();
    // Node drops what comes after a request to upgrade. A connection that has lost bytes must not continue.
    if (req.headers.upgrade !== undefined) res.shouldKeepAlive = false;
    if (res.socket === null && !res.headersSent) this.#queue(request, found);
    else this.#run(request, found);
  }

  /**
   * Lets a pipelined request wait until the replies before it are sent; then Node gives its response a socket. A reply sent
   * before that would stay in memory, and would end the process if the connection closed first. Behind a reply that closes
   * the connection, the response never gets a socket, and the request is dropped.
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

  #run(request: Request, found: Handler | HttpError): void {
    const { res } = request;
    // A request that arrives after a closing reply was sent must change nothing (RFC 9112, section 9.6).
    if (!res.socket?.writable) return;
    try {
      if (found instanceof HttpError) throw found;
      const result = found(request);
      // Without an `await`, a poll is held in the tick in which it arrives.
      if (!(result instanceof Promise)) this.#reply(request, result);
      else result.then((later) => this.#reply(request, later)).catch((error) => this.#fail(request, error));
    } catch (error) {
      this.#fail(request, error);
    }
  }

  #reply({ req, res }: Request, result: Result): void {
    if (typeof result !== "symbol") this.#send(res, result);
    else if (!res.writableEnded) ServedRequest.freeHead(req);
  }

  /** Sends the response for an error. If that throws too, it sends a plain 500, or closes the connection. */
  #fail(request: Request, thrown: unknown): void {
    const { res } = request;
    const error = this.options.toHttpError?.(thrown) ?? thrown;
    const isExpected = error instanceof HttpError;
    if (!isExpected) this.options.onError(error);
    // After the head of a reply, a fault can only be reported by closing the connection.
    if (res.headersSent) return void (res.writableEnded || res.destroy());
    try {
      // A middleware of the host may end the reply later.
      this.#send(res, isExpected ? this.options.toResponse(request, error) : INTERNAL);
    } catch (fault) {
      if (isExpected) this.#fail(request, fault);
      else res.destroy();
    }
  }

  #send(res: ServerResponse, response: HttpResponse): void {
    if (this.options.closing()) res.shouldKeepAlive = false;
    send(res, response);
  }

  #find({ path, pattern, req }: Request): Handler | HttpError {
    const methods = this.#routes.get(pattern) ?? this.#routes.get(path);
    if (!methods) return NOT_FOUND;
    const handler = methods.get(req.method ?? "");
    if (handler) return handler;
    const Allow = [...methods.keys()].join(", ");
    return new HttpError(405, "method_not_allowed", `Use one of these methods: ${Allow}.`, { Allow });
  }
}

/**
 * Returns whether a request has exactly one Host header. Of two, Node uses the first, and a proxy may use the other. HTTP/1.0
 * needs none, and HTTP/2 has none.
 */
function hasOneHost({ rawHeaders: raw, httpVersion }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < raw.length; at += 2)
    if (raw[at]?.length === 4 && raw[at]?.toLowerCase() === "host") hosts++;
  return hosts === 1 || (hosts === 0 && httpVersion !== "1.1");
}
