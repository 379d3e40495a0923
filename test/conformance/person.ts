/** A user who speaks the protocol directly. The shape of every reply is checked. */

import type { OutgoingHttpHeaders } from "node:http";
import { Fault } from "./fault.js";
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
  /**
   * @param cookie the session's cookie
   * @param jar the other cookies, by name: the position of plain polls
   */
  constructor(
    private readonly sender: Sender,
    readonly name: string,
    public cookie: string,
    readonly jar = new Map<string, string>(),
  ) {}

  /** The name as a path segment. */
  get segment(): string {
    return encodeURIComponent(this.name);
  }

  /** Sends a request with this user's cookie. `path` is relative to the chat's root. */
  ask(path: string, options: Ask = {}): Promise<Reply> {
    return this.sender.ask(path, { ...options, headers: { Cookie: this.cookie, ...options.headers } });
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
  async who(): Promise<Who> {
    const isWho = ({ count, users }: Who) => Number.isInteger(count) && Array.isArray(users);
    return read(await this.ask("who"), '{"count": N, "users": [...]}', isWho);
  }
}

interface Who {
  readonly count: number;
  readonly users: readonly string[];
}

/** Returns the messages in the reply to a request for earlier ones. Any other reply is a fault. */
export function readHistory(reply: Reply): { messages: readonly Message[]; more: boolean } {
  const what = '{"messages": [...], "more": true or false}';
  return read(reply, what, ({ messages, more }) => Array.isArray(messages) && typeof more === "boolean");
}

/** Returns the id in the reply to a post. Any other reply is a fault. */
export function readId(reply: Reply): string {
  return read<{ id: string }>(reply, '{"id": "<ms>-<n>"}', ({ id }) => isId(id)).id;
}

/** Returns the text in the reply to a plain poll. Anything but one JSON string is a fault. */
export function textOf(reply: Reply): string {
  return read(reply, "one JSON string", (value) => typeof value === "string");
}

/** Returns the batch in the reply to a poll. Any other reply is a fault. */
export function readBatch(reply: Reply): Batch {
  const what = '{"cursor", "present", "messages": [...]}';
  const batch = read<Omit<Batch, "reply">>(reply, what, ({ messages }) => Array.isArray(messages));
  const { cursor, present, messages, gap = false, superseded = false } = batch;
  const areMessages = messages.every(isMessage);
  const isGrowing = ({ id }: Message, at: number) => at === 0 || compare(messages[at - 1]?.id ?? id, id) < 0;
  const rules: [rule: string, isKept: boolean][] = [
    ["every reply has a cursor, <ms>-<n>", isId(cursor)],
    ["`present` is how many people are here", Number.isInteger(present)],
    [
      "`gap` and `superseded` are true or absent",
      typeof gap === "boolean" && typeof superseded === "boolean",
    ],
    ['a message is {"id", "user", "text", "at"} with `kind` absent or "join" or "leave"', areMessages],
    ["ids only grow", areMessages && messages.every(isGrowing)],
    ["the cursor is the id of the last message", (messages.at(-1)?.id ?? cursor) === cursor],
  ];
  for (const [rule, isKept] of rules)
    if (!isKept) throw new Fault(reply.sent, `200 ${what}; ${rule}`, `200 ${reply.body}`);
  return { ...batch, reply };
}

/** Returns the value in the JSON of a reply. Another status or a value that is not right is a fault. */
export function read<T>(reply: Reply, what: string, isRight: (value: T) => boolean, status = 200): T {
  try {
    const value = JSON.parse(reply.body);
    if (reply.status === status && isRight(value)) return value;
  } catch {
    // The fault below reports it.
  }
  throw new Fault(reply.sent, `${status} and ${what}`, `${reply.status} ${reply.body}`);
}

function isMessage(message: Partial<Message> | null): boolean {
  const { id, user, text, at, kind } = message ?? {};
  const said = isId(id) && typeof user === "string" && typeof text === "string" && Number.isInteger(at);
  return said && [undefined, "join", "leave"].includes(kind);
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
