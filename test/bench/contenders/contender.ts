/** What the bench has to know about a server: how it is started, how one gets in, polls and posts there. */
import type { Dialect } from "../clients.js";
import type { Connection } from "../connection.js";
import type { ServerUnderTest } from "../server.js";

/** What a client goes on with. */
export interface Entry {
  /** What the server knows it by. */
  readonly ticket: string;
  readonly cursor: string;
}

export interface Contender {
  readonly name: string;
  /** One line. */
  readonly about: string;
  /** Whether it is installed by npm, and so only when asked for. */
  readonly isFromNpm?: true;
  /** What to do before it can run; undefined when it can. */
  missing(): string | undefined;
  start(): Promise<ServerUnderTest>;
  /** Lets the nth client in. All go on with the cursor of the last. */
  enter(connection: Connection, n: number): Promise<Entry>;
  readonly dialect: Dialect;
  /** The request that posts a text. @param ticket a client's, who may be polling at the same time */
  post(ticket: string, text: string): string;
  /** The request for the page, where there is one. */
  page?(ticket: string): string;
  /** How many clients wait while one message at a time is sent. */
  readonly crowds: readonly number[];
  /** Messages a second to begin with, for those who cannot bear the usual ones. */
  readonly rates?: readonly number[];
}

export function get(path: string, headers = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: bench\r\n${headers}\r\n`;
}

/** A POST of ASCII. */
export function post(path: string, type: string, body: string, headers = ""): string {
  return `POST ${path} HTTP/1.1\r\nHost: bench\r\n${headers}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** A POST of a form with one field. */
export function form(path: string, field: string, value: string, headers = ""): string {
  return post(path, "application/x-www-form-urlencoded", `${field}=${encodeURIComponent(value)}`, headers);
}

/** The cookie that a reply sets, as a header. */
export function cookie(head: string): string {
  const set = /set-cookie: *([^;\r]+)/i.exec(head)?.[1];
  if (!set) throw new Error(`no cookie was set: ${head}`);
  return `Cookie: ${set}\r\n`;
}
