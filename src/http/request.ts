/**
 * What a handler sees of a request. Node gives the bytes; here they are taken apart strictly, lazily and with a bound.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Fields, objectFields, parseForm, parseJsonFields } from "./form.js";
import { type Refusal, refuse } from "./reply.js";

/** How much of a body that is too large is still read, so that its sender gets to see the 413. */
const LINGER_BYTES = 1024 * 1024;

/** So many pieces of a body are put together into one. */
const MANY_CHUNKS = 256;

export interface RequestOptions {
  /** The longest body that `form` reads, in bytes. */
  readonly bodyLimit: number;
  /** Whether a proxy's `X-Forwarded-*` are believed, the last hop of each: what came before, the caller may have made up. */
  readonly trustProxy: boolean;
  /** The path that stands before all of ours, like `/chat`. Default: none. */
  readonly mount?: string;
}

const MALFORMED = refuse(
  400,
  "bad_request",
  "The body is not what its Content-Type says: a form, or an object whose values are all texts.",
);

export class Request {
  readonly req: IncomingMessage;
  readonly res: ServerResponse<IncomingMessage>;
  /** The path below the mount with its percent-encoding, without the query; `""` when it is not below. */
  readonly path: string;
  /** What the route's pattern names, decoded. */
  params: Readonly<Record<string, string>> = {};
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
    return (this.#forwarded("proto") ?? ("encrypted" in this.req.socket ? "https" : "http")) === "https";
  }

  /** The caller's address. */
  get address(): string {
    return this.#forwarded("for") ?? this.req.socket.remoteAddress ?? "";
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
    const host = this.#forwarded("host") ?? this.req.headers.host;
    return origin !== undefined && origin.replace(/^https?:\/\//, "") !== host;
  }

  /** The query's fields, or undefined when it is malformed. */
  query(): Fields | undefined {
    return parseForm(this.#search);
  }

  /** The values of all cookies with a name: those of the most specific path first (RFC 6265, 5.4). */
  cookies(name: string): string[] {
    return (this.req.headers.cookie?.split(";") ?? []).flatMap((pair) => {
      const equals = pair.indexOf("=");
      return equals >= 0 && pair.slice(0, equals).trim() === name ? [pair.slice(equals + 1).trim()] : [];
    });
  }

  /** Whether the caller would rather see a page than JSON: a browser that navigates, not a script or `curl`. */
  prefersHtml(): boolean {
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
  async form(): Promise<Fields | Refusal | undefined> {
    const parsed = this.#parsed();
    if (typeof parsed === "object" && !Buffer.isBuffer(parsed)) return objectFields(parsed) ?? MALFORMED;
    const body = parsed === undefined ? await this.#body() : Buffer.from(parsed);
    if (body === undefined || "code" in body) return body;
    if (body.length === 0) return new Map();
    const [type = "", ...parameters] = (this.req.headers["content-type"] ?? "").toLowerCase().split(";");
    const isJson = type.trim() === "application/json";
    if (!isJson && type.trim() !== "application/x-www-form-urlencoded") {
      return refuse(415, "unsupported_type", "Send application/x-www-form-urlencoded or application/json.");
    }
    const foreign = parameters.find((p) => /^\s*charset=/.test(p) && !/^\s*charset="?utf-?8"?\s*$/.test(p));
    if (foreign !== undefined || this.req.headers["content-encoding"] !== undefined) {
      return refuse(415, "unsupported_type", "Send UTF-8, without a content coding.");
    }
    const text = decodeUtf8(body);
    const fields = text === undefined ? undefined : isJson ? parseJsonFields(text) : parseForm(text);
    return fields ?? MALFORMED;
  }

  /** What a parser of the host's made of a body that it has read; undefined when nobody has read it. */
  #parsed(): object | string | Buffer | null | undefined {
    const { req } = this;
    if (!req.readableEnded) return undefined;
    const body: unknown = "body" in req ? req.body : undefined;
    if (typeof body === "object" || typeof body === "string") return body;
    const { "content-length": length = "0", "transfer-encoding": chunked } = req.headers;
    if (length === "0" && chunked === undefined) return {};
    throw new Error("the body was read before it came to the chat, and req.body does not hold it");
  }

  #forwarded(what: "for" | "proto" | "host"): string | undefined {
    if (!this.#options.trustProxy) return undefined;
    const header = this.req.headers[`x-forwarded-${what}`];
    return header === undefined ? undefined : String(header).split(",").at(-1)?.trim();
  }

  #body(): Promise<Buffer | Refusal | undefined> {
    const tooLarge = refuse(413, "too_large", `A body has at most ${this.#options.bodyLimit} bytes.`, {
      Connection: "close",
    });
    if (Number(this.req.headers["content-length"]) > LINGER_BYTES) return Promise.resolve(tooLarge);
    if (this.req.destroyed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      let chunks: Buffer[] = [];
      let bytes = 0;
      this.req.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > this.#options.bodyLimit) chunks = [];
        // A chunk of one byte costs a hundred: many are made one.
        else if (chunks.push(chunk) === MANY_CHUNKS) chunks = [Buffer.concat(chunks)];
        if (bytes > LINGER_BYTES) resolve(tooLarge);
      });
      this.req.on("end", () => resolve(bytes > this.#options.bodyLimit ? tooLarge : Buffer.concat(chunks)));
      // After "end" this changes nothing; before it, the client went away in the middle.
      this.req.on("close", () => resolve(undefined));
      this.req.on("error", () => resolve(undefined));
    });
  }
}

/** The target's path and query: of `/a?b` itself, of `http://host/a?b` what is behind the host (RFC 9112, 3.2.2). */
function originForm(target: string): string {
  const absolute = /^https?:\/\/[^/?]*(.*)$/i.exec(target)?.[1];
  if (absolute === undefined) return target;
  return absolute.startsWith("/") ? absolute : `/${absolute}`;
}

/** How much a type is wanted, 0 to 1; of several ranges that fit, the most specific one says (RFC 9110, 12.5.1). */
function quality(accept: string, type: string): number {
  const ranges = [type, `${type.split("/")[0]}/*`, "*/*"];
  let best = ranges.length;
  let wanted = 0;
  for (const part of accept.toLowerCase().split(",")) {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    const specificity = ranges.indexOf(range);
    if (specificity < 0 || specificity > best) continue;
    const q = Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? 1);
    best = specificity;
    wanted = Number.isNaN(q) ? 0 : q;
  }
  return wanted;
}

function decodeUtf8(body: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    // Its only error is that these are not UTF-8.
    return undefined;
  }
}

/** What a path is below a mount: `/` for the mount itself, `""` for what is elsewhere. */
function below(mount: string, path: string): string {
  if (path === mount) return "/";
  return path.startsWith(`${mount}/`) ? path.slice(mount.length) : "";
}

function up(path: string): string {
  return "../".repeat(Math.max(0, path.split("/").length - 2)) || "./";
}
