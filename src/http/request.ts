/** A request as handlers see it. It is parsed strictly, and only when a handler asks. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { quality } from "./accept.js";
import { type Fields, orThrow, parseForm, readForm } from "./body.js";
import { clientSubnet } from "./rate-limit.js";
import { badRequest } from "./response.js";

/** How many cookies of one name are read. The check of a session cookie costs an HMAC for each secret. */
const MAX_COOKIES = 8;
const BAD_PATH = badRequest("The path is malformed.");

export interface RequestOptions {
  /** The longest body that is read, in bytes. */
  readonly bodyLimit: number;
  /** Whether the last hop of `X-Forwarded-*` is trusted. The caller may have invented the hops before it. */
  readonly trustProxy: boolean;
  /** The path in front of all routes, like `/chat`. Default: none. */
  readonly mount?: string;
}

export class Request {
  /** The path below the mount with its percent-encoding, without the query; `""` if it is not below. */
  readonly path: string;
  /** The path with `*` for its second segment; `""` if it has none. */
  readonly pattern: string;
  /** Whether the request was pipelined and had to wait for the reply to an earlier one. */
  wasQueued = false;
  /** The query with its percent-encoding, without the question mark. */
  readonly search: string;
  /** The second segment of the path with its percent-encoding. */
  readonly #segment: string;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    private readonly options: RequestOptions,
  ) {
    // `new URL` costs microseconds, and a poll has one request for each message.
    const target = originForm(req.url ?? "/");
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    const { mount = "" } = options;
    this.path = path.startsWith(`${mount}/`) ? path.slice(mount.length) : "";
    if (path === mount) this.path = "/";
    this.search = mark < 0 ? "" : target.slice(mark + 1);
    const start = this.path.indexOf("/", 1) + 1;
    const slash = this.path.indexOf("/", start);
    const end = slash < 0 ? this.path.length : slash;
    this.#segment = start > 0 ? this.path.slice(start, end) : "";
    this.pattern = this.#segment && `${this.path.slice(0, start)}*${this.path.slice(end)}`;
  }

  /** The text for the `*` of the route's pattern, decoded. Throws a 400 if it is malformed. */
  get param(): string {
    if (!this.#segment.includes("%")) return this.#segment;
    return orThrow(() => decodeURIComponent(this.#segment), BAD_PATH);
  }

  /** Whether this is a HEAD request, which must change nothing. */
  get isHead(): boolean {
    return this.req.method === "HEAD";
  }

  /** The part of the caller's address that identifies one household: the address from the proxy, or of the connection. */
  get subnet(): string {
    const { remoteAddress = "" } = this.req.socket;
    return clientSubnet(this.#forwarded("for") ?? "") ?? clientSubnet(remoteAddress) ?? "";
  }

  /** The relative link from this path to the chat's root. */
  get base(): string {
    const { path, req } = this;
    // Express stores the complete URL here, because it removes the mount path from `url`.
    const asked = "originalUrl" in req && typeof req.originalUrl === "string" ? req.originalUrl : req.url;
    const [outer = ""] = originForm(asked ?? "/").split("?");
    if (path === "") return `${up(outer)}${(this.options.mount ?? "").slice(1)}/`;
    // Without a last slash, as in `/chat`, a relative link leads to siblings of the chat.
    return path !== "/" || outer.endsWith("/") ? up(path) : `./${outer.slice(outer.lastIndexOf("/") + 1)}/`;
  }

  /**
   * Returns whether a page of another origin made the browser send this. Today's browsers send `Sec-Fetch-Site`. In older
   * ones, `Origin` is compared with `Host`. A caller that sends neither is not recognised: it is no browser, or an old one that
   * follows a link.
   */
  isForeign(): boolean {
    const { origin, "sec-fetch-site": site } = this.req.headers;
    if (site !== undefined) return site !== "same-origin" && site !== "none";
    if (origin === undefined) return false;
    // `URL` removes a default port from the host, because an origin never has one.
    const own = `${/^https?:/.exec(origin)?.[0] ?? ""}//${this.#host}`;
    return !URL.canParse(own) || new URL(own).origin !== origin;
  }

  /** Returns the fields of the query. Throws a 400 if it is malformed. */
  query(): Fields {
    return parseForm(this.search);
  }

  /**
   * Returns the name of a cookie of this server. It contains the port that the caller asked for, unless that is a default
   * port, because a browser sends the cookies of a host to all its ports (RFC 6265, section 8.5).
   */
  cookieName(name: string): string {
    const [, port = "80"] = /:(\d{1,5})$/.exec(this.#host) ?? [];
    return port === "80" || port === "443" ? name : `${name}_${port}`;
  }

  /** Returns the values of the first eight cookies with a name: the most specific path first (RFC 6265, section 5.4). */
  cookies(name: string): string[] {
    const prefix = `${this.cookieName(name)}=`;
    const { cookie = "" } = this.req.headers;
    const values: string[] = [];
    // `split`, or a regular expression, costs 2% to 5% of a poll.
    for (let at = 0, end = 0; at < cookie.length && values.length < MAX_COOKIES; at = end + 1) {
      const next = cookie.indexOf(";", at);
      end = next < 0 ? cookie.length : next;
      while (cookie[at] === " ") at++;
      if (cookie.startsWith(prefix, at)) values.push(cookie.slice(at + prefix.length, end).trim());
    }
    return values;
  }

  /**
   * Returns a function that makes `Set-Cookie` values for one cookie. It still works when the head of the request is freed.
   * The cookie belongs to the folder of its URL, so it is right under any mount path. Without `maxAgeS` (seconds), it lasts
   * until the browser is closed.
   */
  cookieSetter(name: string): (value: string, maxAgeS?: number) => string {
    const proto = this.#forwarded("proto") ?? ("encrypted" in this.req.socket ? "https" : "http");
    const [fullName, secure] = [this.cookieName(name), /^https$/i.test(proto) ? "; Secure" : ""];
    return (value, maxAgeS) => {
      const age = maxAgeS === undefined ? "" : `; Max-Age=${maxAgeS}`;
      return `${fullName}=${value}${age}; HttpOnly; SameSite=Lax${secure}`;
    };
  }

  /** Returns whether the caller prefers a page to JSON: a browser that navigates, not a script or `curl`. */
  prefersHtml(): boolean {
    // The forms in our pages contain this, because some browsers send `Accept: */*`.
    if (/(^|&)page(&|$)/.test(this.search)) return true;
    const { accept = "" } = this.req.headers;
    // Ranges do not count: w3m accepts text/html and application/* alike, but it can show only the types that it names.
    return quality(accept, "text/html") > quality(accept, "application/json");
  }

  /**
   * Reads the body as fields. If a parser of the host has read it, they come from `req.body`. Rejects with an `HttpError`:
   * 413 `too_large`, 415 `unsupported_type`, 400 `bad_request`.
   */
  form(): Promise<Fields> {
    return readForm(this.req, this.options.bodyLimit);
  }

  /** The host that the caller asked for, and its port; empty if the request names none. */
  get #host(): string {
    return this.#forwarded("host") ?? this.req.headers.host ?? "";
  }

  #forwarded(field: "for" | "proto" | "host"): string | undefined {
    const header = this.options.trustProxy ? this.req.headers[`x-forwarded-${field}`] : undefined;
    return header === undefined ? undefined : String(header).split(",").at(-1)?.trim();
  }
}

/** Returns the path and query of a target, also of an absolute one like `http://host/a?b` (RFC 9112, section 3.2.2). */
function originForm(target: string): string {
  return target.startsWith("/") ? target : target.replace(/^https?:\/\/[^/?]*\/?/i, "/");
}

/** Returns the relative link from a path to the root. */
function up(path: string): string {
  return "../".repeat(Math.max(0, path.split("/").length - 2)) || "./";
}
