/** The user of the conformance kit, with a log-in and connections of its own. */
import { createHmac } from "node:crypto";
import http from "node:http";
import { type Batch as KitBatch, Person as KitPerson } from "../conformance/person.js";
import { type Ask, cookieOf, exchange, FORM, type Reply } from "../conformance/site.js";

export { type Ask, cookieOf, FORM, HTML, JSON_TYPE, type Reply } from "../conformance/site.js";
export type Batch = Omit<KitBatch, "reply">;

/**
 * The `Host` header without a port, which would be part of the cookie's name. So a cookie is valid for several processes,
 * as behind a load balancer, and for requests over bare sockets.
 */
export const HOST = "127.0.0.1";

/**
 * Sends a request and returns its reply. Redirects are not followed. Rejects if a reply of the chat, which has a
 * `Cache-Control: no-…`, may be sniffed.
 */
export async function ask(url: string, { headers, ...options }: Ask = {}): Promise<Reply> {
  const server = new URL(url);
  const target = server.pathname + server.search;
  const reply = await exchange(server, target, { ...options, headers: { Host: HOST, ...headers } });
  const { "cache-control": caching, "x-content-type-options": sniffing } = reply.headers;
  if (caching?.startsWith("no-") && sniffing !== "nosniff") throw new Error(`${reply.sent} may be sniffed`);
  return reply;
}

/** Sends a log-in, by a form if it has a key, and returns any reply. */
export function login(
  url: string,
  name: string,
  headers: http.OutgoingHttpHeaders = {},
  key?: string,
): Promise<Reply> {
  const body = new URLSearchParams({ name, ...(key !== undefined && { key }) }).toString();
  return ask(`${url}/login`, { method: "POST", headers: { ...FORM, ...headers }, body });
}

/** Returns the status and code of an error reply, whose message must not be empty. */
export function code({ status, body }: Pick<Reply, "status" | "body">): [number, string] {
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  if (error.message === "") throw new Error(`${status} ${error.code} has no message`);
  return [status, error.code];
}

export class Person extends KitPerson {
  readonly url: string;
  readonly agent: http.Agent;

  private constructor(url: string, name: string, cookie: string, jar?: Map<string, string>) {
    const agent = new http.Agent({ keepAlive: true });
    super({ ask: (path, options) => ask(`${url}/${path}`, { agent, ...options }) }, name, cookie, jar);
    this.url = url;
    this.agent = agent;
  }

  /** Logs in. Rejects if the log-in is refused. */
  static async login(url: string, name: string): Promise<Person> {
    const reply = await login(url, name);
    if (reply.status !== 303) throw new Error(`log-in: ${reply.status} ${reply.body}`);
    return Person.of(url, name, reply);
  }

  /** Returns a user with the cookies of a reply. */
  static of(url: string, name: string, reply: Reply): Person {
    const person = new Person(url, name, cookieOf(reply));
    person.keep(reply);
    return person;
  }

  /** Returns 200 if the session is valid, and otherwise the status of its refusal. */
  async status(): Promise<number> {
    return (await this.poll("since=now&wait=0")).status;
  }

  /** Returns the same user at another process, with the same cookies and other connections. */
  at({ url }: { readonly url: string }): Person {
    return new Person(url, this.name, this.cookie, this.jar);
  }

  /** Polls with a cursor, again and again while the reply is 503. */
  async hold(query: string, options: Ask = {}): Promise<Reply> {
    for (;;) {
      const reply = await this.poll(query, options);
      if (reply.status !== 503) return reply;
    }
  }

  /** Waits until all waiter slots are taken. */
  async full(): Promise<void> {
    while ((await this.poll("since=now&wait=0.01")).status !== 503);
  }

  /** Closes this user's idle connections. */
  close(): void {
    this.agent.destroy();
  }
}

/** Returns the id of a session from its cookie, `<name>=<payload>.<signature>`. */
export function sessionIn(cookie: string): string {
  const [, payload = ""] = /=([\w-]+)\./.exec(cookie) ?? [];
  return Buffer.from(payload, "base64url").toString().split(" ")[0] ?? "";
}

/** Returns the texts of a batch without notices. */
export function texts({ messages }: Batch): string[] {
  return messages.filter(({ kind }) => kind === undefined).map(({ text }) => text);
}

/** Returns the one-time key of the form in a page. */
export function keyOf(page: string): string {
  const key = /<input type="hidden" name="(?:page-)?key" value="([^"]+)"/.exec(page)?.[1];
  if (key === undefined) throw new Error("the page has no form with a key");
  return key;
}

/** Returns the key of a new log-in form. */
export async function loginKey(url: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> {
  return keyOf((await ask(`${url}/login`, { headers })).body);
}

/** Signs a text as the server signs the payload of a session cookie. */
export function sign(text: string, secret: string): string {
  const payload = Buffer.from(text).toString("base64url");
  return `${payload}.${createHmac("sha256", secret).update(payload).digest("base64url")}`;
}
