/**
 * One run of a case: its users, their requests and the checks. Cases share the room, so each case uses its own names and
 * ignores the messages of others.
 */
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Checks, summary } from "./checks.js";
import { Fault } from "./fault.js";
import { type Batch, type Message, Person } from "./person.js";
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

/** The options of a reader. */
export interface Hearing {
  readonly client?: string;
  /** Whether the poll is held before the message is posted. */
  readonly held?: boolean;
}

const run = randomBytes(2).toString("hex");
let people = 0;

export class Trial extends Checks {
  readonly site: Site;
  readonly here: Circumstances;
  /** The total wait after 429, in milliseconds. */
  slowed = 0;
  #last = "nothing";
  #inner: Trial | undefined;
  readonly #over = new AbortController();
  readonly #people: Person[] = [];
  readonly #ends: (() => unknown)[] = [];

  constructor(site: Site, here: Circumstances) {
    super();
    this.site = site;
    this.here = here;
    setMaxListeners(0, this.#over.signal);
  }

  /** The last request, for the report of a case that did not end. */
  get last(): string {
    return this.#inner?.last ?? this.#last;
  }

  /** Sends a request. After 429 it waits as `Retry-After` says and tries again. */
  async ask(path: string, options: Ask = {}): Promise<Reply> {
    const signals = [this.#over.signal, ...(options.signal ? [options.signal] : [])];
    for (let tries = 1; ; tries++) {
      this.#last = `${options.method ?? "GET"} ${this.site.target(path)}`;
      const reply = await this.site.ask(path, { ...options, signal: AbortSignal.any(signals) });
      const seconds = Number(reply.headers["retry-after"]);
      if (reply.status === 429) this.site.slowed.push(reply);
      if (reply.status !== 429 || tries === TRIES || !(seconds >= 0 && seconds <= LONGEST_REST)) {
        // A poll with an id as its cursor changes nothing that other processes must know.
        if (this.here.several && reply.status < 400 && !/[?&]since=\d+-/.test(path))
          await this.#pause(TO_BE_TOLD);
        return reply;
      }
      this.slowed += seconds * 1000 + 50;
      await this.#pause(seconds * 1000 + 50);
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
    if (reply.status !== 303 || cookie === "")
      throw new Fault(reply.sent, "303 with a session cookie", summary(reply));
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
    return messages.filter(
      ({ kind, user }) => kind === undefined && this.#people.some(({ name }) => name === user),
    );
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
  async hears(
    person: Person,
    since: string,
    texts: readonly string[],
    how: Hearing = {},
  ): Promise<Message[]> {
    const heard = await this.hear(person, since, texts.length, how);
    const query = `since=${since}${how.client === undefined ? "" : `&client=${how.client}`}`;
    const sent = `GET ${this.site.target(`get_post/${person.segment}?${query}`)}, and on from each cursor`;
    const came = heard.map(({ text }) => text);
    this.equal(sent, came, [...texts]);
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
  async quiet(...arriving: readonly Person[]): Promise<string> {
    const [first] = arriving;
    await Promise.all(arriving.map((person) => person.end()));
    // Notices of these users and of earlier cases come before this message, however slow the disk is.
    await first?.post("quiet");
    const cursor = first ? (await this.silence(first, "wait=0.3")).cursor : "now";
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

  /** Returns the head of a user's post, a form unless the lines say otherwise, without the empty line at its end. */
  postHead({ segment, cookie }: Person, ...lines: readonly string[]): string {
    const type = `Content-Type: ${FORM["Content-Type"]}`;
    const typed = lines.some((line) => line.startsWith("Content-Type")) ? lines : [type, ...lines];
    return this.site.head("POST", `put_post/${segment}`, `Cookie: ${cookie}`, ...typed);
  }

  /** Waits for polls to arrive and be held. */
  settle(): Promise<void> {
    return this.#pause(TO_BE_HELD);
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#over.signal });
  }

  /** Starts a server for this case. Returns it and a trial on it. */
  async start(data?: string): Promise<[Started, Trial]> {
    // A case that has run out of time goes on until its next request.
    this.#over.signal.throwIfAborted();
    const started = await this.#starter.start(data);
    const trial = new Trial(started.site, this.here);
    this.#inner = trial;
    this.#ends.push(
      () => trial.close(),
      () => started.end(),
    );
    return [started, trial];
  }

  /** Creates a folder that outlives a started server. */
  folder(): Promise<string> {
    if (!this.#starter.keeps) this.notTried("needs {data} in --start");
    return this.#starter.folder();
  }

  get #starter(): Starter {
    return this.here.starter ?? this.notTried("needs --start");
  }

  /** Ends the case as not tried behind a proxy. */
  direct(): void {
    if (this.here.proxy) this.notTried("cannot be seen through a proxy");
  }

  /** Ends the case as not tried with several processes. */
  single(): void {
    if (this.here.several) this.notTried("not expected of several processes");
  }

  /** Logs all users out and closes everything that is open. */
  async close(): Promise<void> {
    const out = this.#people.map((person) => person.logout().catch(() => undefined));
    await Promise.race([Promise.all(out), sleep(GOODBYE, undefined, { ref: false })]);
    this.#over.abort();
    for (const end of this.#ends) await end();
  }
}
