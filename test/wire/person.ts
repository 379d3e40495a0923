/** A user who speaks the protocol over real sockets, as `curl` does. */
import http from "node:http";

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Batch {
  readonly cursor: string;
  readonly present: number;
  readonly messages: { id: string; user: string; text: string; at: number; kind?: string }[];
  readonly gap?: boolean;
  readonly superseded?: boolean;
  readonly retry?: number;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly agent?: http.Agent;
  readonly signal?: AbortSignal;
}

/**
 * The `Host` header without a port, which would be part of the cookie's name. So a cookie is valid for several processes,
 * as behind a load balancer, and for requests over bare sockets.
 */
export const HOST = "127.0.0.1";

/** Returns the session cookie under the name that a browser gets, which contains the port. */
export function cookieAt(url: string, { cookie }: Person): string {
  return cookie.replace("=", `_${new URL(url).port}=`);
}

/** Sends a request and returns its reply. Redirects are not followed. */
export function ask(url: string, { body, ...options }: Ask = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { ...options, headers: { Host: HOST, ...options.headers } }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    req.on("error", reject);
    req.end(body);
  });
}

export const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
/** The `Accept` header of a browser that opens a page. */
export const HTML = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

/** Logs in and returns any reply. */
export function login(url: string, name: string, headers: http.OutgoingHttpHeaders = {}): Promise<Reply> {
  const body = `name=${encodeURIComponent(name)}`;
  return ask(`${url}/login`, { method: "POST", headers: { ...FORM, ...headers }, body });
}

/** Returns the status and code of an error reply, whose message must not be empty. */
export function code({ status, body }: Reply): [number, string] {
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  if (error.message === "") throw new Error(`${status} ${error.code} says nothing`);
  return [status, error.code];
}

export class Person {
  readonly url: string;
  readonly name: string;
  /** The session's cookie. */
  cookie = "";
  /** The other cookies by name: those of the log-in and of plain polls. */
  readonly jar = new Map<string, string>();
  readonly agent: http.Agent;

  private constructor(url: string, name: string) {
    this.url = url;
    this.name = name;
    this.agent = new http.Agent({ keepAlive: true });
  }

  /** Logs in. Rejects if the log-in is refused. */
  static async login(url: string, name: string): Promise<Person> {
    const person = new Person(url, name);
    const reply = await login(url, name);
    if (reply.status !== 303) throw new Error(`log-in: ${reply.status} ${reply.body}`);
    person.cookie = reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    for (const cookie of reply.headers["set-cookie"]?.slice(1) ?? []) person.keep(cookie);
    return person;
  }

  /** Stores the cookie of a `Set-Cookie` value. */
  keep(setCookie: string): void {
    const [name = "", value = ""] = setCookie.split(";")[0]?.split("=") ?? [];
    this.jar.set(name, value);
  }

  /** The cookies that a plain poll sends. */
  get cookies(): string {
    return [this.cookie, ...[...this.jar].map(([name, value]) => `${name}=${value}`)].join("; ");
  }

  /** Sends a request with this user's cookie. `path` is relative to the chat's root. */
  ask(path: string, options: Ask = {}): Promise<Reply> {
    const headers = { Cookie: this.cookie, ...options.headers };
    return ask(`${this.url}/${path}`, { agent: this.agent, ...options, headers });
  }

  /** Polls with a cursor and returns any reply. */
  poll(query: string, options: Ask = {}): Promise<Reply> {
    return this.ask(`get_post/${encodeURIComponent(this.name)}?${query}`, options);
  }

  /** Polls with a cursor. The poll must succeed. */
  async batch(query: string, options: Ask = {}): Promise<Batch> {
    return parse(await this.poll(query, options)) as Batch;
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

  /** Polls without a cursor and returns any reply. Cookies are stored, as by a browser. */
  async plainPoll(options: Ask = {}): Promise<Reply> {
    const headers = { Cookie: this.cookies, ...options.headers };
    const reply = await this.ask(`get_post/${encodeURIComponent(this.name)}`, { ...options, headers });
    for (const cookie of reply.headers["set-cookie"] ?? []) this.keep(cookie);
    return reply;
  }

  /** Polls without a cursor. The poll must succeed. */
  async plain(options: Ask = {}): Promise<string> {
    return parse(await this.plainPoll(options)) as string;
  }

  /** Polls without a cursor as a caller that stores only the session cookie. */
  async bare(): Promise<string> {
    return parse(await this.ask(`get_post/${encodeURIComponent(this.name)}`)) as string;
  }

  /** Posts a message and returns any reply. */
  say(text: string, headers: http.OutgoingHttpHeaders = {}, options: Ask = {}): Promise<Reply> {
    return this.ask(`put_post/${encodeURIComponent(this.name)}`, {
      ...options,
      method: "POST",
      headers: { ...FORM, ...headers },
      body: `message=${encodeURIComponent(text)}`,
    });
  }

  /** Posts a message, which must succeed. Returns its id. */
  async post(text: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> {
    return (parse(await this.say(text, headers)) as { id: string }).id;
  }

  /** Closes this user's idle connections. */
  close(): void {
    this.agent.destroy();
  }
}

/** Returns the texts of a batch without notices. */
export function texts(batch: Batch): string[] {
  return batch.messages.filter((message) => message.kind === undefined).map((message) => message.text);
}

function parse(reply: Reply): unknown {
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.body}`);
  return JSON.parse(reply.body);
}
