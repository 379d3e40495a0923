/** Responses are values: a handler returns one or throws an `HttpError`, and the router sends exactly one per request. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Header fields by name. */
export type HeaderMap = Readonly<Record<string, string | string[]>>;

/** One response. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: HeaderMap;
  /** A text is sent as UTF-8. */
  readonly body?: string | Buffer;
}

/** What a handler returns when it answers the request later by itself. */
export const DEFERRED = Symbol("deferred");

/** What a handler returns. */
export type Result = HttpResponse | typeof DEFERRED;

/** A request that was refused. Callers that prefer HTML get a page, others `{"error": {"code", "message"}}`. */
export class HttpError extends Error {
  readonly status: number;
  /** Stable, for programs. */
  readonly code: string;
  readonly headers: HeaderMap;

  /** @param message for people: what happened, and what to do */
  constructor(status: number, code: string, message: string, headers: HeaderMap = {}) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** The headers of every dynamic response. */
export const DYNAMIC = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

/** Returns a JSON response. */
export function json(status: number, value: unknown, headers: HeaderMap = {}): HttpResponse {
  return {
    status,
    headers: { "Content-Type": "application/json", ...DYNAMIC, ...headers },
    body: JSON.stringify(value),
  };
}

/** Returns a response of plain text. */
export function text(status: number, body: string, headers: HeaderMap = {}): HttpResponse {
  return { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...DYNAMIC, ...headers }, body };
}

/** Returns a 204. */
export function noContent(): HttpResponse {
  return { status: 204, headers: DYNAMIC };
}

/**
 * What a page may do: load from this server, post to it, and nothing else. The referrer policy is `same-origin`, because
 * with `no-referrer` browsers send our own forms with `Origin: null`.
 */
const PAGE = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
};

/** Returns a page. */
export function html(status: number, body: string, headers: HeaderMap = {}): HttpResponse {
  return { status, headers: { ...PAGE, ...DYNAMIC, ...headers }, body };
}

/** Returns a redirect. The location is relative, so it is right under any mount path (RFC 9110, 10.2.2). */
export function redirect(status: 303 | 308, location: string, headers: HeaderMap = {}): HttpResponse {
  return { status, headers: { Location: location, ...DYNAMIC, ...headers } };
}

/** A longer text is sent as bytes: a string that waits takes up to three bytes a character, and is counted as one. */
const LARGE_BYTES = 4_096;

/** Sends a response, unless one was sent or the client is gone. Returns the length of its body, in bytes. */
export function send(res: ServerResponse<IncomingMessage>, response: HttpResponse): number {
  if (res.headersSent || res.destroyed) return 0;
  const { status, headers, body = "" } = response;
  // Without a length the body would go out in chunks, which costs more and tells less.
  const hasNoBody = status === 204 || status === 304;
  const bytes = Buffer.byteLength(body);
  res.writeHead(status, hasNoBody ? headers : { ...headers, "Content-Length": bytes });
  res.end(bytes > LARGE_BYTES && typeof body === "string" ? Buffer.from(body) : body);
  return bytes;
}
