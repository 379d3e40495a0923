/**
 * One case as it is tried: people with names of their own, what they say and hear, and the checks. Cases share the room,
 * so each looks at what its own people said and lets the rest go by.
 */
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Checks, summary } from "./checks.js";
import { Fault, NotTried } from "./fault.js";
import { type Batch, type Message, Person } from "./person.js";
import { type Ask, FORM, type Reply, type Site } from "./site.js";
import type { Started } from "./start.js";

/** What a case may ask of the run. */
export interface Circumstances {
  /** Starts a server of the case's own; undefined without `--start`. */
  readonly start:
    | ((options?: { readonly data?: string; readonly clock?: boolean }) => Promise<Started>)
    | undefined;
  /** A folder for a started server's messages; undefined when the command has no place for one. */
  readonly folder: (() => Promise<string>) | undefined;
  /** Whether a started server's clock can be moved. */
  readonly clock: boolean;
  /** Whether something stands between us and the server, so that its connections cannot be seen. */
  readonly proxy: boolean;
  /** Whether several processes answer in turn, which learn from each other. */
  readonly several: boolean;
  /** How many messages the server is said to keep. */
  readonly backlog: number;
}

/** What a poll is given to arrive and be held, in milliseconds. A slower server makes a case see less, never fail. */
const TO_BE_HELD = 200;
/** What several processes are given to tell each other what became of a request, in milliseconds. */
const TO_BE_TOLD = 150;
/** How long a message that is kept may take until its case says that it was lost, in seconds. */
const PATIENCE = 3;
/** The same for one that is posted while its reader polls already. */
const TO_COME = 12;
/** How often a request is tried again after 429. */
const TRIES = 30;
/** The longest `Retry-After` that is waited for, in seconds. */
const LONGEST_REST = 15;
/** How long log-outs may take at the end, in milliseconds. */
const GOODBYE = 2000;

/** How somebody listens. */
export interface Hearing {
  readonly client?: string;
  /** Whether the poll is there before the message is posted. */
  readonly held?: boolean;
}

const run = randomBytes(2).toString("hex");
let people = 0;

export class Trial extends Checks {
  readonly site: Site;
  readonly here: Circumstances;
  /** How long it was told to wait by 429, in milliseconds. */
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

  /** The last request, for a case that did not end. */
  get last(): string {
    return this.#inner?.last ?? this.#last;
  }

  /** A request; when the server says 429, it is sent again after the time that it says. */
  async ask(path: string, options: Ask = {}): Promise<Reply> {
    const signals = [this.#over.signal, ...(options.signal ? [options.signal] : [])];
    for (let tries = 1; ; tries++) {
      this.#last = `${options.method ?? "GET"} ${this.site.target(path)}`;
      const reply = await this.site.ask(path, { ...options, signal: AbortSignal.any(signals) });
      const seconds = Number(reply.headers["retry-after"]);
      if (reply.status === 429) this.site.slowed.push(reply);
      if (reply.status !== 429 || tries === TRIES || !(seconds >= 0 && seconds <= LONGEST_REST)) {
        // A poll tells that somebody is here; a refusal tells nothing.
        if (this.here.several && reply.status < 400)
          await sleep(TO_BE_TOLD, undefined, { signal: this.#over.signal });
        return reply;
      }
      this.slowed += seconds * 1000 + 50;
      await sleep(seconds * 1000 + 50, undefined, { signal: this.#over.signal });
    }
  }

  /** A name that nobody else has, beginning with a word. */
  name(word = "ann"): string {
    return `${word}-${run}-${(people++).toString(36)}`;
  }

  /** Somebody who logs in: new, or back with an old cookie, whose name a server that was killed may take for held. */
  async person(name = this.name(), old?: string): Promise<Person> {
    const reply = await this.login(name, old === undefined ? {} : { Cookie: old });
    const cookie = reply.headers["set-cookie"]?.[0]?.split(";")[0];
    if (reply.status !== 303 || cookie === undefined)
      throw new Fault(reply.sent, "303 with a session cookie", summary(reply));
    const person = this.back({ name, cookie });
    person.keep(reply);
    return person;
  }

  /** Somebody who comes back with the cookie of before. */
  back({ name, cookie }: Pick<Person, "name" | "cookie">): Person {
    const person = new Person(this, name, cookie);
    this.#people.push(person);
    return person;
  }

  people(count: number): Promise<Person[]> {
    return Promise.all(Array.from({ length: count }, () => this.person()));
  }

  /** A log-in, whatever comes of it. */
  login(name: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const body = `name=${encodeURIComponent(name)}`;
    return this.ask("login", { method: "POST", headers: { ...FORM, ...headers }, body });
  }

  /** The messages of this case's people in a batch. */
  mine({ messages }: Batch): Message[] {
    return messages.filter(
      ({ kind, user }) => kind === undefined && this.#people.some(({ name }) => name === user),
    );
  }

  /** Polls on from a cursor until `count` messages of this case's people came, and looks once for more. */
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

  /** As `hear`, and what was heard must be these texts, in this order. */
  async hears(
    person: Person,
    since: string,
    texts: readonly string[],
    how: Hearing = {},
  ): Promise<Message[]> {
    const heard = await this.hear(person, since, texts.length, how);
    const query = `since=${since}${how.client === undefined ? "" : `&client=${how.client}`}`;
    const sent = `GET ${this.site.target(`get_post/${person.segment}?${query}`)}, and on from each cursor`;
    this.equal(
      sent,
      heard.map(({ text }) => text),
      [...texts],
    );
    return heard;
  }

  /** Polls until a poll ends without messages (others may be speaking), and gives that. */
  async silence(person: Person, query: string): Promise<Batch> {
    for (let cursor = await person.end(), tries = 0; ; tries++) {
      const batch = await person.batch(`since=${cursor}&${query}`);
      if (batch.messages.length === 0 || tries === 5) return batch;
      cursor = batch.cursor;
    }
  }

  /** Lets people arrive and waits until nothing is said any more; gives the cursor of the end. */
  async quiet(...arriving: readonly Person[]): Promise<string> {
    const [first] = arriving;
    await Promise.all(arriving.map((person) => person.end()));
    // What the arrivals and former cases made the server say is before this, however slow its disk is.
    await first?.post("quiet");
    const cursor = first ? (await this.silence(first, "wait=1")).cursor : "now";
    // A server that remembers where each person is must have seen them all at the end.
    await Promise.all(arriving.map((person) => person.batch(`since=${cursor}&wait=0`)));
    return cursor;
  }

  /** Gives polls the time to arrive and be held. */
  async settle(): Promise<void> {
    await sleep(TO_BE_HELD, undefined, { signal: this.#over.signal });
  }

  /** A server of the case's own, and a trial whose people live there. */
  async start(options: { readonly data?: string; readonly clock?: boolean } = {}): Promise<[Started, Trial]> {
    if (!this.here.start) throw new NotTried("needs --start");
    const started = await this.here.start(options);
    const trial = new Trial(started.site, this.here);
    this.#inner = trial;
    this.#ends.push(
      () => trial.close(),
      () => started.end(),
    );
    return [started, trial];
  }

  /** A folder that outlives a started server. */
  folder(): Promise<string> {
    if (!this.here.start) throw new NotTried("needs --start");
    if (!this.here.folder) throw new NotTried("needs {data} in --start");
    return this.here.folder();
  }

  /** For what only a direct connection shows. */
  direct(): void {
    if (this.here.proxy) throw new NotTried("cannot be seen through a proxy");
  }

  /** For what each process knows of its own polls only. */
  single(): void {
    if (this.here.several) throw new NotTried("not expected of several processes");
  }

  /** Logs everybody out and lets go of all that is open. */
  async close(): Promise<void> {
    const out = this.#people.map((person) => person.logout().catch(() => undefined));
    await Promise.race([Promise.all(out), sleep(GOODBYE, undefined, { ref: false })]);
    this.#over.abort();
    for (const end of this.#ends) await end();
  }
}
