/**
 * Replies are values. A handler gives one back and this file sends it, so that every request ends in exactly one.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Header fields by name. */
export type HeaderMap = Readonly<Record<string, string>>;

/** One reply. */
export interface Reply {
  readonly status: number;
  readonly headers?: HeaderMap;
  /** Text goes out as UTF-8. */
  readonly body?: string | Buffer;
}

/** A request that was not done, and why. Who prefers HTML gets a page, everybody else `{"error": {"code", "message"}}`. */
export interface Refusal {
  readonly status: number;
  /** Stable; for programs. */
  readonly code: string;
  /** For people; says what to do where it can. */
  readonly message: string;
  readonly headers?: HeaderMap;
}

/** What a handler gives back when it has taken it upon itself to answer later, with `send`. */
export const HELD = Symbol("held");

/** What comes of a request. */
export type Outcome = Reply | Refusal | typeof HELD;

/** Whether something is a refusal rather than what was asked for. */
export function isRefusal(value: object): value is Refusal {
  return "code" in value && "status" in value;
}

/** A refusal; the shape of every error that leaves the process. */
export function refuse(status: number, code: string, message: string, headers: HeaderMap = {}): Refusal {
  return { status, code, message, headers };
}

export function json(status: number, value: unknown, headers: HeaderMap = {}): Reply {
  return {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers },
    body: JSON.stringify(value),
  };
}

/**
 * What a page may do: load from here, post to here, and nothing else. `same-origin` and not `no-referrer`, which would
 * make browsers send our own forms with `Origin: null`.
 */
const GUARDS = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
};

export function html(status: number, body: string, headers: HeaderMap = {}): Reply {
  return {
    status,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      ...GUARDS,
      ...headers,
    },
    body,
  };
}

/** A redirect. The target is relative, so that it holds under any mount path (RFC 9110, 10.2.2). */
export function redirect(status: 303 | 308, location: string, headers: HeaderMap = {}): Reply {
  return { status, headers: { Location: location, "Cache-Control": "no-store", ...headers } };
}

/** On every reply: no browser takes a reply for another type than the one it says, or says nothing of. */
export const NOSNIFF = { "X-Content-Type-Options": "nosniff" };

/** Sends a reply, unless one was sent or nobody is there to read it. Gives how long its body is, in bytes. */
export function send(res: ServerResponse<IncomingMessage>, reply: Reply): number {
  if (res.headersSent || res.destroyed) return 0;
  const { status, headers, body = "" } = reply;
  // Without a length the body would go out in chunks, which costs more and tells less.
  const bodiless = status === 204 || status === 304;
  const bytes = Buffer.byteLength(body);
  res.writeHead(status, { ...NOSNIFF, ...headers, ...(!bodiless && { "Content-Length": bytes }) });
  res.end(body);
  return bytes;
}
