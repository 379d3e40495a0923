/** A user who speaks the protocol directly. The shape of every reply is checked. */

import type { OutgoingHttpHeaders } from "node:http";
import { Fault, show } from "./fault.js";
import { type Ask, FORM, type Reply } from "./site.js";

export interface Message {
  readonly id: string;
  readonly user: string;
  readonly text: string;
  readonly at: number;
  readonly kind?: "join" | "leave";
}

/** The reply to a poll with a cursor. */
export interface Batch {
  readonly cursor: string;
  readonly present: number;
  readonly messages: readonly Message[];
  readonly gap?: boolean;
  readonly superseded?: boolean;
  readonly retry?: number;
  /** The whole HTTP reply. */
  readonly reply: Reply;
}

/** Sends requests. */
interface Sender {
  ask(path: string, options: Ask): Promise<Reply>;
}

export class Person {
  readonly name: string;
  /** The session's cookie. */
  cookie: string;
  /** The other cookies, by name: the position of plain polls. */
  readonly jar: Map<string, string>;
  readonly #sender: Sender;

  constructor(sender: Sender, name: string, cookie: string, jar = new Map<string, string>()) {
    this.jar = jar;
    this.#sender = sender;
    this.name = name;
    this.cookie = cookie;
  }

  /** The name as a path segment. */
  get segment(): string {
    return encodeURIComponent(this.name);
  }

  /** Sends a request with this user's cookie. `path` is relative to the chat's root. */
  ask(path: string, options: Ask = {}): Promise<Reply> {
    return this.#sender.ask(path, { ...options, headers: { Cookie: this.cookie, ...options.headers } });
  }

  /** The cookies that a browser would send with a poll. */
  get cookies(): string {
    return [this.cookie, ...[...this.jar].map(([name, value]) => `${name}=${value}`)].join("; ");
  }

  /** Stores the cookies of a reply, except the session's. */
  keep({ headers }: Reply): void {
    for (const cookie of headers["set-cookie"] ?? []) {
      const [, name = "", value = ""] = /^([^=;]*)=([^;]*)/.exec(cookie) ?? [];
      if (!this.cookie.startsWith(`${name}=`)) this.jar.set(name, value);
    }
  }

  /** Polls and returns any reply. Cookies are sent and stored, as by a browser. */
  async poll(query: string, options: Ask = {}): Promise<Reply> {
    const headers = { Cookie: this.cookies, ...options.headers };
    const path = `get_post/${this.segment}${query === "" ? "" : `?${query}`}`;
    const reply = await this.ask(path, { ...options, headers });
    this.keep(reply);
    return reply;
  }

  /** Polls with a cursor. The poll must succeed. */
  async batch(query: string, options: Ask = {}): Promise<Batch> {
    return readBatch(await this.poll(query, options));
  }

  /** Polls without a cursor. The reply must be one text. */
  async plain(options: Ask = {}): Promise<string> {
    return textOf(await this.poll("", options));
  }

  /** Polls without a cursor, with the session's cookie and at most one other. Stores no cookie. */
  async plainWith(cookie?: string): Promise<string> {
    const headers = { Cookie: cookie === undefined ? this.cookie : `${this.cookie}; ${cookie}` };
    return textOf(await this.ask(`get_post/${this.segment}`, { headers }));
  }

  /** Returns the cursor of the newest message. */
  async end(): Promise<string> {
    return (await this.batch("since=now&wait=0")).cursor;
  }

  /** Posts a message and returns any reply. */
  say(text: string, headers: OutgoingHttpHeaders = {}, options: Ask = {}): Promise<Reply> {
    const post = { ...options, method: "POST", headers: { ...FORM, ...headers } };
    return this.ask(`put_post/${this.segment}`, { ...post, body: `message=${encodeURIComponent(text)}` });
  }

  /** Posts a message, which must succeed. Returns its id. */
  async post(text: string, headers: OutgoingHttpHeaders = {}): Promise<string> {
    return readId(await this.say(text, headers));
  }

  /** Posts form fields to a path. */
  send(path: string, body = "", headers: OutgoingHttpHeaders = {}): Promise<Reply> {
    return this.ask(path, { method: "POST", headers: { ...FORM, ...headers }, body });
  }

  logout(): Promise<Reply> {
    return this.send("logout");
  }

  /** Reports that a page was closed, or all pages of the user. */
  leave(client?: string): Promise<Reply> {
    return this.send(`leave/${this.segment}${client === undefined ? "" : `?client=${client}`}`);
  }

  /** Returns the users who are present. */
  async who(): Promise<{ readonly count: number; readonly users: readonly string[] }> {
    const reply = await this.ask("who");
    const value = parse(reply, WHO);
    if (isRecord(value) && Number.isInteger(value.count) && Array.isArray(value.users))
      return value as { count: number; users: string[] };
    throw new Fault(reply.sent, `200 ${WHO}`, `200 ${reply.body}`);
  }
}

const HISTORY = '{"messages": [...], "more": true or false}';

/** Returns the messages in the reply to a request for earlier ones. Any other reply is a fault. */
export function readHistory(reply: Reply): { messages: readonly Message[]; more: boolean } {
  const value = parse(reply, HISTORY);
  if (isRecord(value) && Array.isArray(value.messages) && typeof value.more === "boolean")
    return value as { messages: Message[]; more: boolean };
  throw new Fault(reply.sent, `200 ${HISTORY}`, `200 ${reply.body}`);
}

/** Returns the id in the reply to a post. Any other reply is a fault. */
export function readId(reply: Reply): string {
  const value = parse(reply, '{"id": "<ms>-<n>"}');
  if (isRecord(value) && isId(value.id)) return value.id;
  throw new Fault(reply.sent, '200 {"id": "<ms>-<n>"}', `200 ${reply.body}`);
}

/** Returns the text in the reply to a plain poll. Anything but one JSON string is a fault. */
export function textOf(reply: Reply): string {
  const value = parse(reply, "one JSON string");
  if (typeof value === "string") return value;
  throw new Fault(reply.sent, "200 and one JSON string", `200 ${reply.body}`);
}

const WHO = '{"count": N, "users": [...]}';
const BATCH = '{"cursor", "present", "messages": [...]}';

/** Returns the batch in the reply to a poll. Any other reply is a fault. */
export function readBatch(reply: Reply): Batch {
  const value = parse(reply, BATCH);
  const wrong = isRecord(value) ? faultOf(value) : "it is no object";
  if (wrong !== undefined) throw new Fault(reply.sent, `200 ${BATCH}; ${wrong}`, `200 ${reply.body}`);
  return { ...(value as Omit<Batch, "reply">), reply };
}

function faultOf({
  cursor,
  present,
  messages,
  gap,
  superseded,
}: Record<string, unknown>): string | undefined {
  if (!isId(cursor)) return "every reply has a cursor, <ms>-<n>";
  if (!Number.isInteger(present)) return "`present` is how many people are here";
  if (!Array.isArray(messages)) return "`messages` is a list";
  if (gap !== undefined && typeof gap !== "boolean") return "`gap` is true or absent";
  if (superseded !== undefined && typeof superseded !== "boolean") return "`superseded` is true or absent";
  const wrong = messages.find((message) => !isMessage(message));
  if (wrong !== undefined) {
    return `a message is {"id", "user", "text", "at"} with \`kind\` absent or "join" or "leave", not ${show(wrong)}`;
  }
  const ids = (messages as Message[]).map(({ id }) => id);
  if (ids.some((id, at) => at > 0 && compare(ids[at - 1] ?? id, id) >= 0)) return "ids only grow";
  if (ids.length > 0 && ids.at(-1) !== cursor) return "the cursor is the id of the last message";
  return undefined;
}

function isMessage(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { id, user, text, at, kind } = value;
  const said = isId(id) && typeof user === "string" && typeof text === "string" && Number.isInteger(at);
  return said && (kind === undefined || kind === "join" || kind === "leave");
}

function isId(value: unknown): value is string {
  return typeof value === "string" && /^\d+-\d+$/.test(value);
}

/** Compares two ids as pairs of integers. Returns -1, 0 or 1. */
export function compare(a: string, b: string): number {
  const [aMs = 0n, aN = 0n] = a.split("-").map(BigInt);
  const [bMs = 0n, bN = 0n] = b.split("-").map(BigInt);
  const difference = aMs === bMs ? aN - bN : aMs - bMs;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function parse(reply: Reply, what: string): unknown {
  if (reply.status === 200) {
    try {
      return JSON.parse(reply.body);
    } catch {
      // The fault below reports it.
    }
  }
  throw new Fault(reply.sent, `200 and ${what}`, `${reply.status} ${reply.body}`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
