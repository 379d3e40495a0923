/**
 * Many people at several processes. Each request goes to a process that is chosen at random, as behind a balancer without
 * stickiness. Who is refused or cut off tries again elsewhere. In the end, what they saw is compared.
 */
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { Person as KitPerson, readBatch, readId } from "../conformance/person.js";
import { type Ask, ask, Person } from "../wire/person.js";

/**
 * Starts so many readers and posters. `urls` are the processes that there are at the moment.
 * @param pause how long a poster waits between two posts, in milliseconds
 */
export async function startSwarm(
  urls: readonly string[],
  readerCount: number,
  posters: number,
  pause: number,
) {
  const agent = new http.Agent({ keepAlive: true });
  const somewhere = () => urls[Math.floor(Math.random() * urls.length)] ?? "";
  const logIn = (kind: string) => async (_: unknown, n: number) => {
    const { cookie } = await Person.login(urls[0] ?? "", `${kind}${n}`);
    const sender = {
      ask: (path: string, options: Ask) => ask(`${somewhere()}/${path}`, { agent, ...options }),
    };
    return new KitPerson(sender, `${kind}${n}`, cookie);
  };
  const readers = await Promise.all(Array.from({ length: readerCount }, logIn("reader")));
  const writers = await Promise.all(Array.from({ length: posters }, logIn("writer")));
  const refused = new Set<number | string>();
  const kept = new Map<string, string>();
  let isFinished = false;
  // Unknown until the last post.
  let total = Number.POSITIVE_INFINITY;

  /** Reads to the end. Returns the ids and texts. */
  const follow = async (reader: KitPerson): Promise<string[]> => {
    const lines: string[] = [];
    for (let cursor = "0"; lines.length < total; ) {
      // They are far away, or all of them would ask after each single message.
      await delay(Math.random() * 300);
      const reply = await reader.poll(`since=${cursor}&wait=20&client=a`).catch(() => undefined);
      if (reply?.status !== 200) {
        if (reply && reply.status < 500) throw new Error(`${reader.name}: ${reply.status} ${reply.body}`);
        await backOff();
        continue;
      }
      const batch = readBatch(reply);
      if (batch.gap) throw new Error(`${reader.name} was told of a gap`);
      cursor = batch.cursor;
      for (const { id, text, kind } of batch.messages) if (kind === undefined) lines.push(`${id} ${text}`);
    }
    return lines;
  };
  const post = async (writer: KitPerson, text: string): Promise<void> => {
    for (;;) {
      const reply = await writer.say(text, { "Idempotency-Key": text }).catch(() => undefined);
      if (reply?.status === 200) return void kept.set(text, readId(reply));
      if (reply?.status === 503) expect(reply.headers["retry-after"]).toMatch(/^\d+$/);
      refused.add(reply?.status ?? "cut off");
      await backOff();
    }
  };
  const write = async (writer: KitPerson, first: number): Promise<void> => {
    for (let n = first; !isFinished; n += posters) {
      await post(writer, `${n}`);
      await delay(pause);
    }
  };

  const done = (async () => {
    const writing = Promise.all(writers.map(write)).then(() => {
      // The last message wakes those who have seen all others.
      total = kept.size + 1;
      return writers[0] && post(writers[0], "last");
    });
    const [seen] = await Promise.all([Promise.all(readers.map(follow)), writing]);
    // What somebody has seen is still there for others.
    if (readers[0]) seen.push(await follow(readers[0]));
    // Everything once, under the ids that the posters were told, in one order for everybody.
    const [first = []] = seen;
    expect(first.toSorted()).toEqual([...kept].map(([text, id]) => `${id} ${text}`).toSorted());
    const order = first.join();
    for (const lines of seen) expect(lines.join() === order).toBe(true);
    agent.destroy();
  })();
  // Whoever looks at it does so later.
  done.catch(() => {});
  return {
    /** The statuses of posts other than 200. */
    refused,
    /** How many messages are kept. */
    kept: () => kept.size,
    /** Lets the posters stop. */
    finish() {
      isFinished = true;
    },
    /** Resolves when all is posted and seen; rejects when somebody saw something wrong. */
    done,
  };
}

const backOff = () => delay(20 + Math.random() * 80);
