/** What a handler sees of a request: what Node gives, taken apart strictly, and only when it is asked for. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { quality } from "./accept.js";
import { readForm } from "./body.js";
import { type Fields, parseForm } from "./form.js";
import { canonicalAddress } from "./limits.js";
import type { Refusal } from "./reply.js";

export interface RequestOptions {
  /** The longest body that `form` reads, in bytes. */
  readonly bodyLimit: number;
  /** Whether a proxy's `X-Forwarded-*` are believed, the last hop of each: what came before, the caller may have made up. */
  readonly trustProxy: boolean;
  /** The path that stands before all of ours, like `/chat`. Default: none. */
  readonly mount?: string;
}

export class Request {
  readonly req: IncomingMessage;
  readonly res: ServerResponse<IncomingMessage>;
  /** The path below the mount with its percent-encoding, without the query; `""` when it is not below. */
  readonly path: string;
  /** What the route's pattern names, decoded. */
  params: Readonly<Record<string, string>> = {};
  /** Whether the request was pipelined and had to wait for the reply to an earlier one. */
  wasQueued = false;
  readonly #search: string;
  readonly #options: RequestOptions;

  constructor(req: IncomingMessage, res: ServerResponse<IncomingMessage>, options: RequestOptions) {
    this.req = req;
    this.res = res;
    this.#options = options;
    const target = originForm(req.url ?? "/");
    // Not `new URL`: it costs microseconds, and a poll has one request a message.
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    this.path = options.mount ? below(options.mount, path) : path;
    this.#search = mark < 0 ? "" : target.slice(mark + 1);
  }

  /** Whether only the head of the reply is asked for, so that nothing may be changed by it. */
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

  /** The way from here to the root, as a relative link. */
  get base(): string {
    const { path, req } = this;
    if (path !== "/" && path !== "") return up(path);
    // Express keeps here what it took off `url`.
    const asked = "originalUrl" in req && typeof req.originalUrl === "string" ? req.originalUrl : req.url;
    const [outer = ""] = originForm(asked ?? "/").split("?");
    if (path === "") return `${up(outer)}${(this.#options.mount ?? "").slice(1)}/`;
    // Of `/chat`, without its last slash, what is relative is beside it.
    const last = outer.slice(outer.lastIndexOf("/") + 1);
    return last === "" ? "./" : `./${last}/`;
  }

  /**
   * Whether a page of another origin made the browser send this. `Sec-Fetch-Site` says so in today's browsers, `Origin`
   * against `Host` in older ones; a caller with neither is no browser, and nobody can make it send what it will not.
   */
  isForeign(): boolean {
    const site = this.req.headers["sec-fetch-site"];
    if (site !== undefined) return site !== "same-origin" && site !== "none";
    const { origin } = this.req.headers;
    return origin !== undefined && !isOriginOf(origin, this.#host);
  }

  /** The query's fields, or undefined when it is malformed. */
  query(): Fields | undefined {
    return parseForm(this.#search);
  }

  /**
   * The name of a cookie of ours. It contains the port that the caller asked for, unless that is a default port, since a
   * browser sends the cookies of a host to all its ports (RFC 6265, 8.5).
   */
  cookieName(name: string): string {
    const [, port = "80"] = /:(\d{1,5})$/.exec(this.#host) ?? [];
    return port === "80" || port === "443" ? name : `${name}_${port}`;
  }

  /** The values of all cookies of ours with a name: those of the most specific path first (RFC 6265, 5.4). */
  cookies(name: string): string[] {
    const full = this.cookieName(name);
    return (this.req.headers.cookie?.split(";") ?? []).flatMap((pair) => {
      const equals = pair.indexOf("=");
      return equals >= 0 && pair.slice(0, equals).trim() === full ? [pair.slice(equals + 1).trim()] : [];
    });
  }

  /**
   * Whether the caller would rather see a page than JSON: a browser that navigates, not a script or `curl`. Our own forms
   * say `?page`, since some browsers accept anything alike (links2, NetSurf).
   */
  prefersHtml(): boolean {
    if (this.query()?.get("page") !== undefined) return true;
    const accept = this.req.headers.accept ?? "*/*";
    const [html, json] = [quality(accept, "text/html"), quality(accept, "application/json")];
    // w3m would have text/html and application/* alike: what it names is what it can show.
    const named = /\btext\/html\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
    return html > json || (html === json && html > 0 && named);
  }

  /**
   * Reads the body as fields; what a host's parser has read before is taken from `req.body`. Gives a refusal instead:
   * 413 `too_large`, 415 `unsupported_type`, 400 `bad_request`. Undefined when the client went away before the end:
   * there is nobody to answer.
   */
  form(): Promise<Fields | Refusal | undefined> {
    return readForm(this.req, this.#options.bodyLimit);
  }

  /** The host that the caller asked for, and its port; empty if the caller does not say. */
  get #host(): string {
    return this.#forwarded("host") ?? this.req.headers.host ?? "";
  }

  #forwarded(what: "for" | "proto" | "host"): string | undefined {
    if (!this.#options.trustProxy) return undefined;
    const header = this.req.headers[`x-forwarded-${what}`];
    return header === undefined ? undefined : String(header).split(",").at(-1)?.trim();
  }
}

/** The target's path and query: of `/a?b` itself, of `http://host/a?b` what is behind the host (RFC 9112, 3.2.2). */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const absolute = /^https?:\/\/[^/?]*(.*)$/i.exec(target)?.[1];
  if (absolute === undefined) return target;
  return absolute.startsWith("/") ? absolute : `/${absolute}`;
}

/** Whether an origin is that of a host, whose default port may be written out. */
function isOriginOf(origin: string, host: string): boolean {
  const [scheme = ""] = /^https?:/.exec(origin) ?? [];
  const url = `${scheme}//${host}`;
  return URL.canParse(url) && new URL(url).origin === origin;
}

/** What a path is below a mount: `/` for the mount itself, `""` for what is elsewhere. */
function below(mount: string, path: string): string {
  if (path === mount) return "/";
  return path.startsWith(`${mount}/`) ? path.slice(mount.length) : "";
}

function up(path: string): string {
  return "../".repeat(Math.max(0, path.split("/").length - 2)) || "./";
}
