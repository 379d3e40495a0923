/** Responses are values. A handler returns one or throws an `HttpError`, and the router sends one for each request. */
import type { ServerResponse } from "node:http";

/** Header fields by name. */
export type HeaderMap = Readonly<Record<string, string | string[]>>;

/** One response. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: HeaderMap;
  /** A text is sent as UTF-8. */
  readonly body?: string | Buffer;
}

/** What a handler returns when it answers the request itself, later. */
export const DEFERRED = Symbol("deferred");

/** What a handler returns. */
export type Result = HttpResponse | typeof DEFERRED;

/** An error response. Callers that prefer HTML get a page, others `{"error": {"code", "message"}}`. */
export class HttpError extends Error {
  /**
   * @param code stable, for programs
   * @param message for people: what happened, and what to do
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: HeaderMap = {},
  ) {
    super(message);
  }
}

/** Returns a 400 with the code `bad_request`. */
export function badRequest(message: string, headers: HeaderMap = {}): HttpError {
  return new HttpError(400, "bad_request", message, headers);
}

/** The headers of every dynamic response. */
export const DYNAMIC = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

/** On pages and on redirects between them: WebKit shows a broken page if only one of them has it. */
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin" };

/**
 * The permissions of a page: it loads from this server, posts to it, and nothing else. The referrer policy is
 * `same-origin`, because with `no-referrer` browsers send our own forms with `Origin: null`.
 */
const PAGE = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "same-origin",
  ...ISOLATED,
};

/** Returns a response of plain text. */
export function text(status: number, body: string, headers: HeaderMap = {}): HttpResponse {
  return { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...DYNAMIC, ...headers }, body };
}

/** Returns a JSON response. The body ends with a newline, for terminals. */
export function json(status: number, value: unknown, headers: HeaderMap = {}): HttpResponse {
  return text(status, `${JSON.stringify(value)}\n`, { "Content-Type": "application/json", ...headers });
}

/** Returns a page. */
export function html(status: number, body: string, headers: HeaderMap = {}): HttpResponse {
  return text(status, body, { ...PAGE, ...headers });
}

/** Returns a redirect. The location is relative, so it is right under any mount path (RFC 9110, section 10.2.2). */
export function redirect(status: 303 | 308, location: string, headers: HeaderMap = {}): HttpResponse {
  return { status, headers: { Location: location, ...ISOLATED, ...DYNAMIC, ...headers } };
}

/** A longer text becomes a Buffer. In the queue of a socket, a text uses up to three bytes a character, but Node counts one. */
const LARGE_BYTES = 4_096;

/** Sends a response. Does nothing if one is sent already, or if the client is gone. */
export function send(res: ServerResponse, { status, headers, body = "" }: HttpResponse): void {
  if (res.headersSent || res.destroyed) return;
  const hasNoBody = status === 204 || status === 304;
  const bytes = Buffer.byteLength(body);
  // Without a length, the body would be sent in chunks.
  res.writeHead(status, hasNoBody ? headers : { ...headers, "Content-Length": bytes });
  if (res.req.method === "HEAD") res.end();
  else res.end(bytes > LARGE_BYTES && typeof body === "string" ? Buffer.from(body) : body);
}
