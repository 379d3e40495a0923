/** A request as handlers see it. It is parsed strictly, and only when a handler asks. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { quality } from "./accept.js";
import { type BodyOptions, readForm } from "./body.js";
import { type Fields, parseForm } from "./form.js";
import { canonicalAddress } from "./rate-limit.js";

export interface RequestOptions extends BodyOptions {
  /** Whether the last hop of `X-Forwarded-*` is trusted. The caller may have invented the hops before it. */
  readonly trustProxy: boolean;
  /** The path in front of all routes, like `/chat`. Default: none. */
  readonly mount?: string;
}

export class Request {
  /** The path below the mount with its percent-encoding, without the query; `""` if it is not below. */
  readonly path: string;
  /** The parameters of the route's pattern, decoded. */
  readonly params: Record<string, string> = {};
  /** Whether the request was pipelined and had to wait for the reply to an earlier one. */
  wasQueued = false;
  /** The query with its percent-encoding, without the question mark. */
  readonly search: string;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    private readonly options: RequestOptions,
  ) {
    // `new URL` costs microseconds, and a poll has one request for each message.
    const target = originForm(req.url ?? "/");
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    this.path = options.mount ? below(options.mount, path) : path;
    this.search = mark < 0 ? "" : target.slice(mark + 1);
  }

  /** Whether this is a HEAD request, which must change nothing. */
  get isHead(): boolean {
    return this.req.method === "HEAD";
  }

  /** Whether the caller's connection is TLS. */
  get isSecure(): boolean {
    const proto = this.#forwarded("proto") ?? ("encrypted" in this.req.socket ? "https" : "http");
    return proto.toLowerCase() === "https";
  }

  /** The caller's address in its canonical form. It is that of the connection if the proxy names none. */
  get address(): string {
    const { remoteAddress = "" } = this.req.socket;
    return canonicalAddress(this.#forwarded("for") ?? "") ?? canonicalAddress(remoteAddress) ?? "";
  }

  /** The relative link from this path to the chat's root. */
  get base(): string {
    const { path, req } = this;
    if (path !== "/" && path !== "") return up(path);
    // Express stores the complete URL here, because it removes the mount path from `url`.
    const asked = "originalUrl" in req && typeof req.originalUrl === "string" ? req.originalUrl : req.url;
    const [outer = ""] = originForm(asked ?? "/").split("?");
    if (path === "") return `${up(outer)}${(this.options.mount ?? "").slice(1)}/`;
    // Without a last slash, as in `/chat`, a relative link leads to siblings of the chat.
    const last = outer.slice(outer.lastIndexOf("/") + 1);
    return last === "" ? "./" : `./${last}/`;
  }

  /**
   * Returns whether a page of another origin made the browser send this. Today's browsers send `Sec-Fetch-Site`. In older
   * ones, `Origin` is compared with `Host`. A caller with neither is no browser, so no page can misuse it.
   */
  isForeign(): boolean {
    const site = this.req.headers["sec-fetch-site"];
    if (site !== undefined) return site !== "same-origin" && site !== "none";
    const { origin } = this.req.headers;
    return origin !== undefined && !isOriginOf(origin, this.#host);
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

  /** Returns the values of all cookies with a name: those of the most specific path first (RFC 6265, section 5.4). */
  cookies(name: string): string[] {
    const prefix = `${this.cookieName(name)}=`;
    const { cookie = "" } = this.req.headers;
    const values: string[] = [];
    // `split` costs 1% of a poll.
    for (let at = 0, end = 0; at < cookie.length; at = end + 1) {
      const next = cookie.indexOf(";", at);
      end = next < 0 ? cookie.length : next;
      while (cookie[at] === " ") at++;
      if (cookie.startsWith(prefix, at)) values.push(cookie.slice(at + prefix.length, end).trim());
    }
    return values;
  }

  /** Returns whether the caller prefers a page to JSON: a browser that navigates, not a script or `curl`. */
  prefersHtml(): boolean {
    // The forms in our pages contain this, because some browsers send `Accept: */*`.
    if (/(^|&)page(&|$)/.test(this.search)) return true;
    const accept = this.req.headers.accept ?? "*/*";
    const [html, json] = [quality(accept, "text/html"), quality(accept, "application/json")];
    // w3m accepts text/html and application/* alike, but it can show only the types that it names.
    const isNamed = /\btext\/html\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
    return html > json || (html === json && html > 0 && isNamed);
  }

  /**
   * Reads the body as fields. If a parser of the host has read it, they come from `req.body`. Rejects with an `HttpError`:
   * 413 `too_large`, 415 `unsupported_type`, 400 `bad_request`.
   */
  form(): Promise<Fields> {
    return readForm(this.req, this.options);
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

/** Returns whether an origin is that of a host. A default port may be missing in one of them. */
function isOriginOf(origin: string, host: string): boolean {
  const [scheme = ""] = /^https?:/.exec(origin) ?? [];
  const url = `${scheme}//${host}`;
  return URL.canParse(url) && new URL(url).origin === origin;
}

/** Returns a path below a mount: `/` for the mount itself, `""` for a path outside. */
function below(mount: string, path: string): string {
  if (path === mount) return "/";
  return path.startsWith(`${mount}/`) ? path.slice(mount.length) : "";
}

/** Returns the relative link from a path to the root. */
function up(path: string): string {
  return "../".repeat(Math.max(0, path.split("/").length - 2)) || "./";
}
