/**
 * Thousands of generated requests, and hundreds of pipelined sequences. For more:
 *
 *     FUZZ=100000 npx vitest run test/wire/fuzz.test.ts
 *
 * and the same ones again with SEED=<the number in the failure>.
 */
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { type Batch, batches, type Step, sequences } from "./fuzz-requests.js";
import { ask, Person, texts } from "./person.js";
import { dial, get, hear, statuses } from "./raw.js";
import { type Server, startServer } from "./server.js";

const REQUESTS = Number(process.env.FUZZ ?? 5_000);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** The number of simultaneous connections, and of batches generated at a time. */
const AT_ONCE = 24;
const PORTION = 480;
const LAST = get("/healthz", "Connection: close");

let server: Server;
let people: Person[];
/** Starts a server. A short backlog keeps the replies to polls short. */
async function begin(backlog: number): Promise<void> {
  server = await startServer("--backlog", `${backlog}`);
  people = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => Person.login(server.url, `ann${n}`)));
}
afterEach(async () => {
  // After all requests the server is healthy, has logged nothing, and stops normally.
  await (await Person.login(server.url, "still here")).post("all is well");
  expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});

/** Takes items from a list until it is empty, one at a time for each person. */
async function share<T>(items: T[], work: (item: T, person: Person) => Promise<void>): Promise<void> {
  const worker = async (person: Person) => {
    for (let item = items.pop(); item !== undefined; item = items.pop()) await work(item, person);
  };
  await Promise.all(people.map(worker));
}

/** Returns what is wrong with the replies to a batch, or undefined. */
async function fault({ requests, wild }: Batch, { cookie, name }: Person): Promise<string | undefined> {
  const sent = requests.map((request) => request.replaceAll("GOOD", cookie).replaceAll("WHO", name)).join("");
  if (wild) {
    // Arbitrary bytes can contain several requests. One connection is reset after them, the other ends.
    const reset = dial(server.port);
    reset.socket.write(Buffer.from(sent, "latin1"), () => reset.socket.resetAndDestroy());
    const ended = dial(server.port, sent);
    ended.socket.end();
    await reset.closed;
    return (await ended.closed).statuses.includes(500) ? "a 500" : undefined;
  }
  const { text } = await hear(server.port, sent + LAST);
  const replies = statuses(text).filter((status) => status !== 100);
  const expected = requests.length + 1;
  if (replies.includes(500)) return "a 500";
  if (replies.length > expected) return `${replies.length} replies`;
  // The last reply is to a request with `Connection: close`, or one that closes the connection.
  const closing = text.lastIndexOf("\r\nConnection: close\r\n") > text.lastIndexOf("\r\n\r\nHTTP/1.1 ");
  return replies.length === expected || closing ? undefined : `only ${replies.length} replies`;
}

test(`${REQUESTS} generated requests get one reply each or a closed connection, and never a 500`, async () => {
  await begin(20);
  let left = REQUESTS;
  for (let portion = 0; left > 0; portion++) {
    await share(fc.sample(batches, { numRuns: PORTION, seed: SEED + portion }), async (batch, person) => {
      if (left <= 0) return;
      left -= batch.requests.length + (batch.wild ? 0 : 1);
      const wrong = await fault(batch, person);
      if (wrong) throw new Error(`${wrong}, with SEED=${SEED}: ${JSON.stringify(batch.requests)}`);
    });
  }
}, 300_000);

test(`${REQUESTS / 10} pipelined sequences execute every post in front of the first closing reply, and none behind it`, async () => {
  await begin(1000);
  const check = async (steps: readonly Step[], person: Person) => {
    const { cursor } = await person.batch("since=now&wait=0");
    const requests = steps.map(({ request }) =>
      request.replaceAll("WHO", person.name).replaceAll("GOOD", person.cookie),
    );
    const replies = (await hear(server.port, requests.join("") + LAST)).statuses;
    const closing = steps.findIndex(({ closes }) => closes);
    const executed = closing < 0 ? steps : steps.slice(0, closing + 1);
    const batch = await person.batch(`since=${cursor}&wait=0`);
    const kept = texts({ ...batch, messages: batch.messages.filter(({ user }) => user === person.name) });
    const fault = `with SEED=${SEED}: ${JSON.stringify(requests.map((request) => request.slice(0, 200)))}`;
    expect(kept, fault).toEqual(executed.flatMap(({ text }) => text ?? []));
    // Unread bytes at the close make the system reset the connection, and replies are lost.
    if (closing < 0) expect(replies.length, fault).toBe(steps.length + 1);
    else expect(replies.length, fault).toBeLessThanOrEqual(executed.length);
  };
  await share([...fc.sample(sequences, { numRuns: REQUESTS / 10, seed: SEED })], check);
}, 300_000);
