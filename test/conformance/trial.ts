/**
 * One run of a case: its users, their requests and the checks. Cases share the room, so each case uses its own names and
 * ignores the messages of others.
 */
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Fault, NotTried } from "./fault.js";
import { type Batch, type Message, Person, read } from "./person.js";
import { type Ask, cookieOf, FORM, type Reply, type Site } from "./site.js";
import type { Started, Starter } from "./start.js";

/** The settings of a run. */
export interface Circumstances {
  /** Starts servers for cases. Undefined without `--start`. */
  readonly starter: Starter | undefined;
  /** Whether a proxy is in front of the server, which hides its connections. */
  readonly proxy: boolean;
  /** Whether several processes answer alternately. */
  readonly several: boolean;
  /** The number of messages that the server keeps. */
  readonly backlog: number;
}

/** The time for a poll to arrive and be held, in milliseconds. With a slower server a case tests less, but does not fail. */
const TO_BE_HELD = 200;
/** The time for several processes to exchange the result of a request, in milliseconds. */
const TO_BE_TOLD = 150;
/** The time after which a kept message counts as lost, in seconds. */
const PATIENCE = 3;
/** The same for a message that is posted while the poll is held, in seconds. */
const TO_COME = 12;
/** The most tries of a request that gets 429. */
const TRIES = 30;
/** The longest accepted `Retry-After`, in seconds. */
const LONGEST_REST = 15;
/** The limit of the log-outs at the end, in milliseconds. */
const GOODBYE = 2000;

/** The options of a reader: its client id, and whether its poll is held before the message is posted. */
interface Hearing {
  readonly client?: string;
  readonly held?: boolean;
}

const run = randomBytes(2).toString("hex");
let people = 0;

export class Trial {
  readonly #over = new AbortController();
  readonly #people: Person[] = [];

  /** @param progress the last request of this trial and those inside it */
  constructor(
    readonly site: Site,
    readonly here: Circumstances,
    readonly progress = { last: "nothing" },
  ) {
    setMaxListeners(0, this.#over.signal);
  }

  /** Sends a request. After 429 it waits as `Retry-After` says and tries again. */
  async ask(path: string, options: Ask = {}): Promise<Reply> {
    const signals = [this.#over.signal, ...(options.signal ? [options.signal] : [])];
    for (let tries = 1; ; tries++) {
      this.progress.last = `${options.method ?? "GET"} ${this.site.target(path)}`;
      const reply = await this.site.ask(path, { ...options, signal: AbortSignal.any(signals) });
      if (reply.status !== 429) {
        // A poll with an id as its cursor changes nothing that other processes must know.
        const isNews = reply.status < 400 && !/[?&]since=\d+-/.test(path);
        if (this.here.several && isNews) await this.#pause(TO_BE_TOLD);
        return reply;
      }
      const rest = Number(reply.headers["retry-after"]);
      const isShort = Number.isInteger(rest) && rest >= 0 && rest <= LONGEST_REST;
      this.expect(reply, `another status, or a short Retry-After in seconds`, isShort && tries < TRIES);
      await this.#pause(rest * 1000 + 50);
    }
  }

  /** Returns a unique name that begins with a word. */
  name(word = "ann"): string {
    return `${word}-${run}-${(people++).toString(36)}`;
  }

  /** Logs a user in. */
  async person(name = this.name()): Promise<Person> {
    const reply = await this.login(name);
    const cookie = cookieOf(reply);
    this.expect(reply, "303 with a session cookie", reply.status === 303 && cookie !== "");
    const person = this.back({ name, cookie });
    person.keep(reply);
    return person;
  }

  /** Returns a user with the cookie of an earlier log-in. */
  back({ name, cookie }: Pick<Person, "name" | "cookie">): Person {
    const person = new Person(this, name, cookie);
    this.#people.push(person);
    return person;
  }

  people(count: number): Promise<Person[]> {
    return Promise.all(Array.from({ length: count }, () => this.person()));
  }

  /** Logs in and returns any reply. */
  login(name: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const body = `name=${encodeURIComponent(name)}`;
    return this.ask("login", { method: "POST", headers: { ...FORM, ...headers }, body });
  }

  /** Returns the messages in a batch that this case's users posted. */
  mine({ messages }: Batch): Message[] {
    const names = this.#people.map(({ name }) => name);
    return messages.filter(({ kind, user }) => kind === undefined && names.includes(user));
  }

  /** Polls from a cursor until `count` messages of this case's users arrived, and then once more. */
  async hear(person: Person, since: string, count: number, how: Hearing = {}): Promise<Message[]> {
    const heard: Message[] = [];
    const query = how.client === undefined ? "" : `&client=${how.client}`;
    const patience = how.held ? TO_COME : PATIENCE;
    const patient = performance.now() + patience * 2000;
    for (let cursor = since; ; ) {
      const wait = heard.length >= count ? 0 : patience;
      const batch = await person.batch(`since=${cursor}&wait=${wait}${query}`);
      heard.push(...this.mine(batch));
      if (wait === 0 || batch.messages.length === 0 || performance.now() > patient) return heard;
      cursor = batch.cursor;
    }
  }

  /** Reads as `hear` does, and checks the texts and their order. */
  async hears(person: Person, since: string, texts: readonly string[], how?: Hearing): Promise<Message[]> {
    const heard = await this.hear(person, since, texts.length, how);
    const path = this.site.target(`get_post/${person.segment}?since=${since}`);
    const came = heard.map(({ text }) => text);
    this.equal(`GET ${path}, and on from each cursor`, came, [...texts]);
    return heard;
  }

  /** Polls until a batch is empty, since other cases can post. Returns that batch. */
  async silence(person: Person, query: string): Promise<Batch> {
    for (let cursor = await person.end(), tries = 0; ; tries++) {
      const batch = await person.batch(`since=${cursor}&${query}`);
      if (batch.messages.length === 0 || tries === 5) return batch;
      cursor = batch.cursor;
    }
  }

  /** Makes users present and waits for the end of all notices. Returns the last cursor. */
  async quiet(first: Person, ...others: readonly Person[]): Promise<string> {
    const arriving = [first, ...others];
    await Promise.all(arriving.map((person) => person.end()));
    // Notices of these users and of earlier cases come before this message, however slow the disk is.
    await first.post("quiet");
    const { cursor } = await this.silence(first, "wait=0.3");
    // A server that remembers each user's position must know that all are at the end.
    await Promise.all(arriving.map((person) => person.batch(`since=${cursor}&wait=0`)));
    return cursor;
  }

  /** Checks the texts in a batch that this case's users posted. */
  texts(batch: Batch, expected: readonly string[]): void {
    const came = this.mine(batch).map(({ text }) => text);
    this.equal(batch.reply.sent, came, [...expected]);
  }

  /** Sends a poll of a user on its own socket. */
  hold(person: Person, query: string): Socket {
    const head = this.site.head("GET", `get_post/${person.segment}${query}`, `Cookie: ${person.cookies}`);
    const socket = this.site.connect();
    socket.write(`${head}\r\n`);
    return socket;
  }

  /** Returns the head of a user's post of a form without the empty line at its end. */
  postHead({ segment, cookie }: Person, ...lines: readonly string[]): string {
    const type = `Content-Type: ${FORM["Content-Type"]}`;
    return this.site.head("POST", `put_post/${segment}`, `Cookie: ${cookie}`, type, ...lines);
  }

  /** Waits for polls to arrive and be held. */
  settle(): Promise<void> {
    return this.#pause(TO_BE_HELD);
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#over.signal });
  }

  /** Starts a server for this case, with a new folder unless one is given. Returns it and a trial on it. */
  async start(data?: string): Promise<[Started, Trial]> {
    // A case that has run out of time goes on until its next request.
    this.#over.signal.throwIfAborted();
    const { starter = this.notTried("needs --start") } = this.here;
    const started = await starter.start(data);
    return [started, new Trial(started.site, this.here, this.progress)];
  }

  /** Creates a folder that outlives a started server. */
  folder(): string {
    const { starter = this.notTried("needs --start") } = this.here;
    return starter.keeps ? starter.folder() : this.notTried("needs {data} in --start");
  }

  /** Ends the case as not tried with several processes. */
  single(): void {
    if (this.here.several) this.notTried("not expected of several processes");
  }

  /** Ends the case as not tried. */
  notTried(reason: string): never {
    throw new NotTried(reason);
  }

  /** Logs all users out and ends all requests. */
  async close(): Promise<void> {
    const out = this.#people.map((person) => person.logout().catch(() => undefined));
    await Promise.race([Promise.all(out), sleep(GOODBYE, undefined, { ref: false })]);
    this.#over.abort();
  }

  /** Checks deep equality. */
  equal(sent: string, came: unknown, expected: unknown): void {
    if (!isDeepStrictEqual(came, expected)) throw new Fault(sent, expected, came);
  }

  /** Checks a condition, which `expected` describes. */
  expect(sent: string | Reply, expected: string, so: boolean, came?: unknown): void {
    if (so) return;
    if (typeof sent === "string") throw new Fault(sent, expected, came);
    throw new Fault(sent.sent, expected, came ?? summary(sent));
  }

  status(reply: Reply, status: number): void {
    this.expect(reply, `${status}`, reply.status === status);
  }

  /** Checks that a reply is a page. */
  page(reply: Reply, status: number): void {
    const type = reply.headers["content-type"] ?? "";
    this.expect(reply, `${status} and a page`, reply.status === status && type.startsWith("text/html"));
  }

  /** Checks for a relative redirect from a path to another one, both under the chat's root. */
  redirects(reply: Reply, from: string, status: number, path: string): void {
    const { location = "/" } = reply.headers;
    const isRelative = !/^([a-z][a-z0-9+.-]*:|\/)/i.test(location);
    const to = new URL(location, new URL(from, this.site.base)).href;
    const right = reply.status === status && isRelative && to === this.site.base.href + path;
    this.expect(reply, `${status}, by a relative redirect, to ${path}`, right);
  }

  /** Checks the time to the end of a reply, in milliseconds. `limit` allows for a busy machine. */
  took({ sent, took }: Reply, least: number, limit: number): void {
    const expected = least === 0 ? "an answer at once" : `an answer after ${least / 1000} s`;
    // Time-outs may be early by a tenth of a second, or half a second of ten.
    const so = took >= least - Math.max(100, least / 20) && took < limit;
    this.expect(sent, expected, so, `${Math.round(took)} ms`);
  }

  /** Checks whether a batch has a gap. */
  gap({ reply, gap = false }: Batch, expected: boolean): void {
    this.expect(reply, expected ? '"gap": true' : "no `gap`", gap === expected);
  }

  /** Checks an error reply: its status, its code and a message that is not empty. */
  refused(reply: Reply, status: number, code: string): void {
    const isError = ({ error }: { error?: Record<string, unknown> }) =>
      error?.code === code && typeof error.message === "string" && error.message !== "";
    read(reply, `{"error": {"code": "${code}", "message": …}}`, isError, status);
  }
}

/** Returns a reply as one line, with the headers that the contract names. */
function summary({ status, headers, body }: Reply): string {
  const told = "location allow content-type cache-control retry-after connection set-cookie".split(" ");
  const shown = told.flatMap((name) => (headers[name] === undefined ? [] : [` [${name}: ${headers[name]}]`]));
  return `${status}${shown.join("")}${body === "" ? "" : ` ${body}`}`;
}
