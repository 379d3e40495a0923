/** One request of the client and what came of it. Nothing here throws: no answer is an answer too. */
import { retryAfter } from "./backoff.js";

/** Where the room is, and how it is reached. */
export interface RoomOptions {
  /** Where the chat is mounted: `"../../"` in its page, `"http://127.0.0.1:5000/"` elsewhere. */
  readonly base: string;
  /** The name one has logged in with. */
  readonly user: string;
  /** Instead of the global one; it must heed its `signal`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Sent with every request. In Node the session's `cookie` belongs here; a browser sends its own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the batches and the sends. */
  readonly signal?: AbortSignal;
  /** Where `online`, `offline`, `pageshow` and `visibilitychange` are heard. By default the window, where there is one. */
  readonly events?: EventTarget;
}

/** What came back. */
export interface Answer {
  /** The HTTP status; 0 if there was no whole answer. */
  readonly status: number;
  /** The JSON body; undefined if it is none. */
  readonly body: unknown;
  /** The wait that the server asks for, in milliseconds. */
  readonly least: number;
  /** Why there was no answer. */
  readonly message: string;
}

/** How a request differs from a plain GET. */
export type Init = RequestInit & { readonly headers?: Readonly<Record<string, string>> };

/** An object whose fields are yet to be looked at. */
export type Unread<T> = { readonly [K in keyof T]?: unknown };

/** Whether `value` can be asked for the fields of a `T`; says nothing of what they hold. */
export function isObject<T>(value: unknown): value is Unread<T> {
  return typeof value === "object" && value !== null;
}

/** Sends one request to `<base><path>`. Undefined if the signal was faster. */
export async function request(
  room: RoomOptions,
  path: string,
  init: Init & { readonly signal: AbortSignal },
): Promise<Answer | undefined> {
  // Called bare, because a browser's fetch bears no other `this`.
  const { base, fetch = globalThis.fetch } = room;
  const headers = { ...room.headers, ...init.headers, accept: "application/json" };
  try {
    const url = base.endsWith("/") ? base + path : `${base}/${path}`;
    const response = await fetch(url, { ...init, headers, cache: "no-store", credentials: "same-origin" });
    const body = parse(await response.text());
    const least = retryAfter(response.headers.get("retry-after"));
    return { status: response.status, body, least, message: `HTTP ${response.status}` };
  } catch (error) {
    return init.signal.aborted ? undefined : { status: 0, body: undefined, least: 0, message: String(error) };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // HTML, nothing, or half: the caller finds no field in it
  }
}

/** What was wrong, and whether trying again cannot heal it. */
export interface Refusal {
  /** The protocol's code, or `unreachable` (no answer), or `bad_answer` (not the protocol's). */
  readonly code: string;
  readonly message: string;
  readonly final: boolean;
}

/** Reads an answer that is not the one hoped for. */
export function refusal({ status, body, message }: Answer): Refusal {
  const error = isObject<{ error: unknown }>(body) ? body.error : undefined;
  const said = isObject<Refusal>(error) ? error : {};
  const code = typeof said.code === "string" ? said.code : undefined;
  return {
    code: code ?? (status === 0 ? "unreachable" : "bad_answer"),
    message: typeof said.message === "string" ? said.message : message,
    // A 404 that is not in our words is a proxy whose server is away. Login pages of a Wi-Fi answer 200 or 30x.
    final:
      status >= 400 &&
      status < 500 &&
      ![408, 425, 429].includes(status) &&
      (status !== 404 || code !== undefined),
  };
}

/** 128 random bits in hex. Not `randomUUID`, which a page over plain http has not got. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
