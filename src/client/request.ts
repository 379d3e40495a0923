/** One HTTP request and its result. Nothing here throws: a request without a reply has a result too. */

/** Longest delay that a server can ask for. A wrong `Retry-After` must not silence a page for a day. */
const MAX_DELAY_MS = 300_000;

/** Options of all requests. */
export interface RequestOptions {
  /** Used instead of the global `fetch`. It must obey its `signal`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Headers of every request. In Node the session's `cookie` belongs here; a browser sends its own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends every request and every pause of the client. */
  readonly signal?: AbortSignal;
}

/** The chat, and the user in it. */
export interface RoomOptions extends RequestOptions {
  /** Address where the chat is mounted: `"../../"` in its page, `"http://127.0.0.1:5000/"` elsewhere. */
  readonly base: string;
  /** The name that the user has logged in with. */
  readonly user: string;
}

/** The result of a request. The last three fields describe the failure if the reply is not the expected one. */
export interface Result {
  /** HTTP status; 0 if there was no reply. */
  readonly status: number;
  /** The body as JSON; undefined if it is not JSON. */
  readonly body?: unknown;
  /** The delay that the server asks for, in ms. */
  readonly minDelay: number;
  /** The protocol's code; `unreachable`: no reply; `bad_answer`: a reply that is not the protocol's. */
  readonly code: string;
  /** The server's message, or what happened to the request. English, for a log. */
  readonly message: string;
  /** Whether another attempt would fail in the same way. */
  readonly final: boolean;
}

/** Options of `fetch`, with headers as an object. */
export type Init = RequestInit & { readonly headers?: Readonly<Record<string, string>> };

/** Fields that have not been checked. */
export type Fields = { readonly [name: string]: unknown };

/** Returns the fields of an object; none if `value` is not an object. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" ? { ...value } : {};
}

/** Sends one request. */
export async function request(options: RequestOptions, url: string, init: Init): Promise<Result> {
  // Called as a plain function, because a browser's fetch throws with another `this`.
  const { fetch = globalThis.fetch } = options;
  const headers = { ...options.headers, ...init.headers, accept: "application/json" };
  try {
    const response = await fetch(url, { ...init, headers, cache: "no-store" });
    const { status } = response;
    // A body that is HTML, empty or cut off is not JSON.
    const body: unknown = await response.json().catch(() => undefined);
    // Seconds, or a date (RFC 9110, section 10.2.3).
    const after = response.headers.get("retry-after") ?? "";
    const minDelay = toDelay(Number(after) * 1000 || Date.parse(after) - Date.now());
    const { code, message = `HTTP ${status}` } = fieldsOf(fieldsOf(body).error);
    const result = { status, body, minDelay, message: String(message) };
    // Not final: firewalls, proxies and the log-in pages of a Wi-Fi answer with any status.
    if (typeof code !== "string") return { ...result, code: "bad_answer", final: false };
    return { ...result, code, final: status >= 400 && status < 500 && ![408, 425, 429].includes(status) };
  } catch (error) {
    return { status: 0, minDelay: 0, code: "unreachable", message: String(error), final: false };
  }
}

/** Returns a delay that a server asked for, in ms: 0 for anything that is not a delay, at most five minutes. */
export function toDelay(ms: unknown): number {
  return typeof ms === "number" && ms > 0 ? Math.min(ms, MAX_DELAY_MS) : 0;
}

/** Returns the URL of a route that ends with the user's name. */
export function roomUrl({ base, user }: RoomOptions, route: string): string {
  return `${base.replace(/\/?$/, "/")}${route}/${encodeURIComponent(user)}`;
}

/** Returns 128 random bits as a text. Not `randomUUID`, which a page over plain http does not have. */
export const randomId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
