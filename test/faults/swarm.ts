/**
 * Many people at several processes: each request goes to one chosen at random, as behind a balancer without stickiness, and
 * whoever is refused or cut off tries again, elsewhere. What they saw is compared in the end.
 */
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { ask, type Batch, FORM, login, type Reply } from "../wire/person.js";

export interface Size {
  readonly clients: number;
  readonly posters: number;
  readonly messages: number;
}

export interface Outcome {
  /** Statuses of posts other than 200, and how often. */
  readonly refused: ReadonlyMap<number | string, number>;
  /** The fewest messages that anybody has seen so far. */
  readonly least: () => number;
  /** Whether all is said and seen; rejects when somebody saw something wrong. */
  readonly done: Promise<void>;
}

/** Starts them. `urls` are the processes that there are at the moment. */
export async function startSwarm(urls: readonly string[], size: Size): Promise<Outcome> {
  const agent = new http.Agent({ keepAlive: true });
  const { clients, posters, messages } = size;
  const refused = new Map<number | string, number>();
  const kept = new Map<string, string>();
  const readers = await Promise.all(names("reader", clients).map((name) => logIn(urls, name)));
  const writers = await Promise.all(names("writer", posters).map((name) => logIn(urls, name)));
  const seen = readers.map(() => [] as string[]);

  const somewhere = () => urls[Math.floor(Math.random() * urls.length)] ?? "";
  const follow = async ({ name, Cookie }: Caller, heard: string[]) => {
    for (let cursor = "0"; heard.length < messages; ) {
      // They are far away, or all of them would ask after each single message.
      await delay(Math.random() * 300);
      const reply = await ask(`${somewhere()}/get_post/${name}?since=${cursor}&wait=20&client=${name}`, {
        headers: { Cookie },
        agent,
      }).catch(() => undefined);
      if (reply?.status !== 200) {
        if (reply && reply.status < 500) throw new Error(`${name}: ${reply.status} ${reply.body}`);
        await pause();
        continue;
      }
      const batch = JSON.parse(reply.body) as Batch;
      if (batch.gap) throw new Error(`${name} was told of a gap`);
      cursor = batch.cursor;
      for (const { id, text, kind } of batch.messages) if (kind === undefined) heard.push(`${id} ${text}`);
    }
  };
  const post = async ({ name, Cookie }: Caller, number: number) => {
    for (let n = number; n < messages; n += posters) {
      for (let reply: Reply | undefined; reply?.status !== 200; ) {
        reply = await ask(`${somewhere()}/put_post/${name}`, {
          method: "POST",
          headers: { ...FORM, Cookie, "Idempotency-Key": `${n}` },
          agent,
          body: `message=${n}`,
        }).catch(() => undefined);
        if (reply?.status === 200) kept.set(`${n}`, (JSON.parse(reply.body) as { id: string }).id);
        else {
          if (reply?.status === 503) expect(reply.headers["retry-after"]).toMatch(/^\d+$/);
          const what = reply?.status ?? "cut off";
          refused.set(what, (refused.get(what) ?? 0) + 1);
          await pause();
        }
      }
    }
  };

  const done = (async () => {
    const following = readers.map((reader, n) => follow(reader, seen[n] ?? []));
    await Promise.all([...following, ...writers.map(post)]);
    const [first = []] = seen;
    // Everything once, under the ids that the posters were told, in one order for everybody.
    expect(first.map((line) => line.split(" ")[1]).toSorted()).toEqual([...kept.keys()].toSorted());
    expect(kept.size).toBe(messages);
    for (const line of first) {
      const [id, text = ""] = line.split(" ");
      expect(kept.get(text)).toBe(id);
    }
    const order = first.join();
    for (const heard of seen) expect(heard.join() === order).toBe(true);
    agent.destroy();
  })();
  // Whoever looks at it does so later.
  done.catch(() => {});
  return { refused, least: () => Math.min(...seen.map((heard) => heard.length)), done };
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

const pause = () => delay(20 + Math.random() * 80);
