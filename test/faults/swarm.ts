/**
 * Many people at several processes. Each request goes to a process that is chosen at random, as behind a balancer without
 * stickiness. Who is refused or cut off tries again elsewhere. In the end, what they saw is compared.
 */
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { ask, type Batch, FORM, login, type Reply } from "../wire/person.js";

export interface Size {
  readonly clients: number;
  readonly posters: number;
  /** How long a poster waits between two posts, in milliseconds. */
  readonly pause: number;
}

export interface Swarm {
  /** Statuses of posts other than 200, and how often. */
  readonly refused: ReadonlyMap<number | string, number>;
  /** How many messages are kept. */
  readonly kept: () => number;
  /** Lets the posters stop. */
  finish(): void;
  /** Resolves when all is posted and seen; rejects when somebody saw something wrong. */
  readonly done: Promise<void>;
}

/** Starts them. `urls` are the processes that there are at the moment. */
export async function startSwarm(urls: readonly string[], { clients, posters, pause }: Size): Promise<Swarm> {
  const agent = new http.Agent({ keepAlive: true });
  const refused = new Map<number | string, number>();
  const kept = new Map<string, string>();
  const readers = await Promise.all(names("reader", clients).map((name) => logIn(urls, name)));
  const writers = await Promise.all(names("writer", posters).map((name) => logIn(urls, name)));
  const seen = readers.map(() => [] as string[]);
  let isFinished = false;
  // Unknown until the last post.
  let total = Number.POSITIVE_INFINITY;

  const somewhere = () => urls[Math.floor(Math.random() * urls.length)] ?? "";
  const follow = async ({ name, Cookie }: Caller, lines: string[]) => {
    for (let cursor = "0"; lines.length < total; ) {
      // They are far away, or all of them would ask after each single message.
      await delay(Math.random() * 300);
      const reply = await ask(`${somewhere()}/get_post/${name}?since=${cursor}&wait=20&client=${name}`, {
        headers: { Cookie },
        agent,
      }).catch(() => undefined);
      if (reply?.status !== 200) {
        if (reply && reply.status < 500) throw new Error(`${name}: ${reply.status} ${reply.body}`);
        await backOff();
        continue;
      }
      const batch = JSON.parse(reply.body) as Batch;
      if (batch.gap) throw new Error(`${name} was told of a gap`);
      cursor = batch.cursor;
      for (const { id, text, kind } of batch.messages) if (kind === undefined) lines.push(`${id} ${text}`);
    }
  };
  const post = async ({ name, Cookie }: Caller, text: string) => {
    for (let reply: Reply | undefined; reply?.status !== 200; ) {
      reply = await ask(`${somewhere()}/put_post/${name}`, {
        method: "POST",
        headers: { ...FORM, Cookie, "Idempotency-Key": text },
        agent,
        body: `message=${text}`,
      }).catch(() => undefined);
      if (reply?.status === 200) kept.set(text, (JSON.parse(reply.body) as { id: string }).id);
      else {
        if (reply?.status === 503) expect(reply.headers["retry-after"]).toMatch(/^\d+$/);
        const what = reply?.status ?? "cut off";
        refused.set(what, (refused.get(what) ?? 0) + 1);
        await backOff();
      }
    }
  };
  const write = async (writer: Caller, first: number) => {
    for (let n = first; !isFinished; n += posters) {
      await post(writer, `${n}`);
      await delay(pause);
    }
  };

  const done = (async () => {
    const following = Promise.all(readers.map((reader, n) => follow(reader, seen[n] ?? [])));
    const writing = (async () => {
      await Promise.all(writers.map(write));
      // The last message wakes those who have seen all others.
      const [writer] = writers;
      if (!writer) throw new Error("no posters");
      total = kept.size + 1;
      await post(writer, "last");
    })();
    await Promise.all([following, writing]);
    const [first = []] = seen;
    // Everything once, under the ids that the posters were told, in one order for everybody.
    expect(first.map((line) => line.split(" ")[1]).toSorted()).toEqual([...kept.keys()].toSorted());
    for (const line of first) {
      const [id, text = ""] = line.split(" ");
      expect(kept.get(text)).toBe(id);
    }
    const order = first.join();
    for (const lines of seen) expect(lines.join() === order).toBe(true);
    agent.destroy();
  })();
  // Whoever looks at it does so later.
  done.catch(() => {});
  return {
    refused,
    kept: () => kept.size,
    finish() {
      isFinished = true;
    },
    done,
  };
}

interface Caller {
  readonly name: string;
  readonly Cookie: string;
}

const names = (kind: string, count: number) => Array.from({ length: count }, (_, n) => `${kind}${n}`);

async function logIn(urls: readonly string[], name: string): Promise<Caller> {
  const { status, headers } = await login(urls[0] ?? "", name);
  if (status !== 303) throw new Error(`log-in: ${status}`);
  return { name, Cookie: headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
}

const backOff = () => delay(20 + Math.random() * 80);
