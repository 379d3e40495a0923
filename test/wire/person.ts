/** A person who speaks the protocol by hand, over real sockets, as `curl` would. */
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
 * Without a port, since the port is part of a cookie's name: so a cookie is good for several processes, as behind a
 * balancer, and for requests by the byte.
 */
export const HOST = "127.0.0.1";

/** The session's cookie as a client has it that sends the port, like a browser. */
export function cookieAt(url: string, { cookie }: Person): string {
  return cookie.replace("=", `_${new URL(url).port}=`);
}

/** One request, one reply; redirects are not followed. */
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
/** What a browser accepts that goes to a page. */
export const HTML = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

/** Logs in under a name, whatever comes of it. */
export function login(url: string, name: string, headers: http.OutgoingHttpHeaders = {}): Promise<Reply> {
  const body = `name=${encodeURIComponent(name)}`;
  return ask(`${url}/login`, { method: "POST", headers: { ...FORM, ...headers }, body });
}

/** The status and code of a refusal, which must also say something to people. */
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
  /** The other cookies that came, by name: those of the log-in and of plain polls. */
  readonly jar = new Map<string, string>();
  readonly agent: http.Agent;

  private constructor(url: string, name: string) {
    this.url = url;
    this.name = name;
    this.agent = new http.Agent({ keepAlive: true });
  }

  /** Logs in; throws when that is refused. */
  static async login(url: string, name: string): Promise<Person> {
    const person = new Person(url, name);
    const reply = await login(url, name);
    if (reply.status !== 303) throw new Error(`log-in: ${reply.status} ${reply.body}`);
    person.cookie = reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    for (const cookie of reply.headers["set-cookie"]?.slice(1) ?? []) person.keep(cookie);
    return person;
  }

  /** Keeps the cookie of a `Set-Cookie` value. */
  keep(setCookie: string): void {
    const [name = "", value = ""] = setCookie.split(";")[0]?.split("=") ?? [];
    this.jar.set(name, value);
  }

  /** All cookies, as a plain poll sends them. */
  get cookies(): string {
    return [this.cookie, ...[...this.jar].map(([name, value]) => `${name}=${value}`)].join("; ");
  }

  /** A request with this person's cookie; `path` is from the chat's root. */
  ask(path: string, options: Ask = {}): Promise<Reply> {
    const headers = { Cookie: this.cookie, ...options.headers };
    return ask(`${this.url}/${path}`, { agent: this.agent, ...options, headers });
  }

  /** The long poll with a cursor, whatever comes of it. */
  poll(query: string, options: Ask = {}): Promise<Reply> {
    return this.ask(`get_post/${encodeURIComponent(this.name)}?${query}`, options);
  }

  /** The long poll with a cursor, which must succeed. */
  async batch(query: string, options: Ask = {}): Promise<Batch> {
    return parse(await this.poll(query, options)) as Batch;
  }

  /** The long poll with a cursor, tried again for as long as there is no room for it. */
  async hold(query: string, options: Ask = {}): Promise<Reply> {
    for (;;) {
      const reply = await this.poll(query, options);
      if (reply.status !== 503) return reply;
    }
  }

  /** Waits until as many polls are held as can be: then there is no room for one more. */
  async full(): Promise<void> {
    while ((await this.poll("since=now&wait=0.01")).status !== 503);
  }

  /** The poll without a cursor, whatever comes of it. Cookies are kept, as by a browser. */
  async plainPoll(options: Ask = {}): Promise<Reply> {
    const headers = { Cookie: this.cookies, ...options.headers };
    const reply = await this.ask(`get_post/${encodeURIComponent(this.name)}`, { ...options, headers });
    for (const cookie of reply.headers["set-cookie"] ?? []) this.keep(cookie);
    return reply;
  }

  /** The poll without a cursor, which must succeed. */
  async plain(options: Ask = {}): Promise<string> {
    return parse(await this.plainPoll(options)) as string;
  }

  /** The same by a caller that keeps no cookie but the session's. */
  async bare(): Promise<string> {
    return parse(await this.ask(`get_post/${encodeURIComponent(this.name)}`)) as string;
  }

  /** Posts a message, whatever comes of it. */
  say(text: string, headers: http.OutgoingHttpHeaders = {}, options: Ask = {}): Promise<Reply> {
    return this.ask(`put_post/${encodeURIComponent(this.name)}`, {
      ...options,
      method: "POST",
      headers: { ...FORM, ...headers },
      body: `message=${encodeURIComponent(text)}`,
    });
  }

  /** Posts a message, which must be kept, and gives its id. */
  async post(text: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> {
    return (parse(await this.say(text, headers)) as { id: string }).id;
  }

  /** Lets go of this person's idle connections. */
  close(): void {
    this.agent.destroy();
  }
}

/** What was said in a batch, without notices. */
export function texts(batch: Batch): string[] {
  return batch.messages.filter((message) => message.kind === undefined).map((message) => message.text);
}

function parse(reply: Reply): unknown {
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.body}`);
  return JSON.parse(reply.body);
}
