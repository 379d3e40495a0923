/**
 * Twenty thousand generated requests, and every prefix of some valid ones. For a hundred thousand:
 *
 *     FUZZ=100000 npx vitest run test/wire/fuzz.test.ts
 *
 * and the same ones again with SEED=<the number in the failure>.
 */
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Batch, batches, sequences } from "./fuzz-requests.js";
import { ask, Person } from "./person.js";
import { statuses } from "./raw.js";
import { type Server, startServer } from "./server.js";

const REQUESTS = Number(process.env.FUZZ ?? 20_000);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** The number of simultaneous connections, and of batches generated at a time. */
const AT_ONCE = 24;
const PORTION = 480;

let server: Server;
beforeAll(async () => {
  server = await startServer("--backlog", "20");
});
afterAll(async () => {
  // After all requests the server is healthy, has logged nothing, and stops normally.
  const ann = await Person.login(server.url, "still here");
  await ann.post("all is well");
  expect((await ask(`${server.url}/healthz`)).body).toBe("ok");
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
});

const LAST = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/** Sends bytes and optionally ends the connection. Returns everything received until the close. */
function exchange(bytes: string, end: boolean, { port } = server): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let text = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(text));
    socket.write(Buffer.from(bytes, "latin1"));
    if (end) socket.end();
  });
}

/** Returns what is wrong with the replies to a batch, or undefined. */
async function fault({ requests, wild }: Batch, { cookie, name }: Person): Promise<string | undefined> {
  const sent = requests.map((request) => request.replaceAll("GOOD", cookie).replaceAll("WHO", name));
  const text = await exchange(sent.join("") + (wild ? "" : LAST), wild);
  const replies = statuses(text).filter((status) => status !== 100);
  if (replies.includes(500)) return "a 500";
  // Arbitrary bytes can contain several requests.
  if (wild) return undefined;
  if (replies.length > sent.length + 1) return `${replies.length} replies`;
  // The last reply is to a request with `Connection: close`, or one that closes the connection.
  const closing = text.lastIndexOf("\r\nConnection: close\r\n") > text.lastIndexOf("\r\n\r\nHTTP/1.1 ");
  return replies.length === sent.length + 1 || closing ? undefined : `only ${replies.length} replies`;
}

test(`${REQUESTS} generated requests get one reply each or a closed connection, and never a 500`, async () => {
  const people = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, n) => Person.login(server.url, `ann${n}`)),
  );
  let left = REQUESTS;
  for (let portion = 0; left > 0; portion++) {
    const waiting = fc.sample(batches, { numRuns: PORTION, seed: SEED + portion });
    const work = async (person: Person) => {
      for (let batch = waiting.pop(); batch && left > 0; batch = waiting.pop()) {
        left -= batch.requests.length + (batch.wild ? 0 : 1);
        const wrong = await fault(batch, person);
        if (wrong) throw new Error(`${wrong}, with SEED=${SEED}: ${JSON.stringify(batch.requests)}`);
      }
    };
    await Promise.all(people.map(work));
  }
  expect(left).toBeLessThanOrEqual(0);
}, 300_000);

test(`${REQUESTS / 10} pipelined sequences execute every post in front of the first closing reply, and none behind it`, async () => {
  const server = await startServer();
  const people = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, n) => Person.login(server.url, `bob${n}`)),
  );
  const waiting = fc.sample(sequences, { numRuns: REQUESTS / 10, seed: SEED });
  const work = async (person: Person) => {
    for (let steps = waiting.pop(); steps; steps = waiting.pop()) {
      const { cursor } = await person.batch("since=now&wait=0");
      const requests = steps.map(({ request }) =>
        request.replaceAll("WHO", person.name).replaceAll("GOOD", person.cookie),
      );
      const text = await exchange(requests.join("") + LAST, false, server);
      const closing = steps.findIndex(({ closes }) => closes);
      const executed = closing < 0 ? steps : steps.slice(0, closing + 1);
      const { messages } = await person.batch(`since=${cursor}&wait=0`);
      const kept = messages.filter(({ user, kind }) => user === person.name && kind === undefined);
      const fault = `with SEED=${SEED}: ${JSON.stringify(requests.map((request) => request.slice(0, 200)))}`;
      const posted = executed.flatMap(({ text }) => text ?? []);
      expect(kept.map(({ text }) => text).join(), fault).toBe(posted.join());
      // Unread bytes at the close make the system reset the connection, and replies are lost.
      if (closing < 0) expect(statuses(text).length, fault).toBe(steps.length + 1);
      else expect(statuses(text).length, fault).toBeLessThanOrEqual(executed.length);
    }
  };
  await Promise.all(people.map(work));
  expect(await server.stop()).toBe(0);
  expect(server.stderr()).toBe("");
}, 300_000);

test("every prefix of a valid request gets at most one reply and never a 500", async () => {
  const ann = await Person.login(server.url, "cut off");
  const form = "Content-Type: application/x-www-form-urlencoded";
  const head = `Host: x\r\nCookie: ${ann.cookie}\r\n`;
  const whole = [
    `POST /put_post/cut%20off HTTP/1.1\r\n${head}${form}\r\nContent-Length: 11\r\n\r\nmessage=cut`,
    `POST /put_post/cut%20off HTTP/1.1\r\n${head}${form}\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nmessage=cut\r\n0\r\n\r\n`,
    `GET /get_post/cut%20off?since=0&wait=60&client=x HTTP/1.1\r\n${head}\r\n`,
    `GET /chatroom/cut%20off/ HTTP/1.1\r\n${head}Accept: text/html\r\n\r\n`,
  ];
  const cuts = whole.flatMap((request) => Array.from(request, (_, length) => request.slice(0, length)));
  const kept = async () =>
    (await ann.batch("since=0&wait=0")).messages.filter(({ text }) => text === "cut").length;
  const work = async () => {
    for (let cut = cuts.pop(); cut !== undefined; cut = cuts.pop()) {
      const replies = statuses(await exchange(cut, true));
      if (replies.length > 1 || replies.includes(500)) throw new Error(`${replies}: ${JSON.stringify(cut)}`);
      const socket = connect(server.port, "127.0.0.1");
      socket.write(cut, () => socket.resetAndDestroy());
      await new Promise((resolve) => socket.on("error", () => {}).on("close", resolve));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  // A truncated message is not kept.
  expect(await kept()).toBe(0);
});
