/** A server that stops in a busy room: every request that was sent gets its reply. */
import { once } from "node:events";
import http from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type Chat, createChat, type Serving, serve } from "../../src/index.js";
import { until } from "./chat.js";
import { ask, type Batch, Person, type Reply } from "./person.js";
import { startServer } from "./server.js";

const CLIENTS = 300;

/** A client that polls on one connection until a reply has `Connection: close`. A writer alternates posts and polls. */
class Client {
  readonly person: Person;
  readonly isWriter: boolean;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  answered = 0;
  /** The last reply. */
  last: Reply | undefined;
  /** The request of the last reply. */
  wasPoll = false;

  readonly #wait: number;

  constructor(person: Person, isWriter: boolean, wait: number) {
    this.person = person;
    this.#wait = wait;
    this.isWriter = isWriter;
  }

  /** Rejects if a request gets no reply. */
  async run(): Promise<void> {
    for (let cursor = "0"; this.last?.headers.connection !== "close"; this.answered++) {
      this.wasPoll = !this.isWriter || this.answered % 2 === 1;
      if (!this.wasPoll) {
        this.last = await this.person.say(`${this.answered}`, {}, { agent: this.#agent });
        continue;
      }
      this.last = await this.person.poll(`since=${cursor}&wait=${this.#wait}&client=a`, {
        agent: this.#agent,
      });
      cursor = (JSON.parse(this.last.body) as Batch).cursor;
    }
    this.#agent.destroy();
  }
}

/** Clients in a busy room. Each result is `undefined` or the error. */
async function busy(url: string, count: number, wait = 60) {
  const people: Person[] = [];
  for (let n = 0; n < count; n++) people.push(await Person.login(url, `n${n}`));
  const clients = people.map((person, n) => new Client(person, n % 4 === 0, wait));
  const errors = Promise.all(
    clients.map((client) => client.run().catch((error: unknown) => `after ${client.answered}: ${error}`)),
  );
  await until(() => clients.every(({ answered }) => answered >= 3));
  return { clients, errors };
}

/** Checks that every client got a reply to each request, the last one with `Connection: close`. */
async function expectAnswers({ clients, errors }: Awaited<ReturnType<typeof busy>>): Promise<void> {
  expect((await errors).filter((error) => error !== undefined)).toEqual([]);
  for (const { last, wasPoll } of clients) {
    expect(last?.headers.connection).toBe("close");
    if (last?.status === 503) expect(last.headers["retry-after"]).toMatch(/^\d+$/);
    else expect(last?.status).toBe(200);
    if (wasPoll) expect(JSON.parse(last?.body ?? "")).toMatchObject({ cursor: expect.any(String) });
  }
}

test("a signal in a busy room resets no connection, and the program ends with 0", async () => {
  const server = await startServer();
  const room = await busy(server.url, CLIENTS);
  const exited = server.stop();
  await expectAnswers(room);
  const polls = room.clients.filter(({ wasPoll }) => wasPoll);
  expect(polls.length).toBeGreaterThan(0);
  for (const { last } of polls)
    expect((JSON.parse(last?.body ?? "") as Batch).retry).toBeGreaterThanOrEqual(0);
  expect(await exited).toBe(0);
});

test("requests on connections that were not accepted before the signal are answered", async () => {
  const server = await startServer();
  const errors: unknown[] = [];
  // The operating system accepts connections for a stopped process.
  process.kill(server.pid, "SIGSTOP");
  const sockets = Array.from({ length: 20 }, () => connect(server.port, "127.0.0.1").setEncoding("latin1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const replies = sockets.map(async (socket) => {
    let text = "";
    socket.on("error", (error) => errors.push(error));
    socket.on("data", (piece: string) => {
      text += piece;
    });
    socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "close");
    return text;
  });
  process.kill(server.pid, "SIGTERM");
  process.kill(server.pid, "SIGCONT");
  for (const text of await Promise.all(replies)) {
    // Node may read a request before it handles the signal. Then the reply is 200.
    expect(text).toMatch(/^HTTP\/1\.1 (200|503 (.*\r\n)*Connection: close\r\n)/);
  }
  expect(errors).toEqual([]);
  expect(await server.exited).toBe(0);
});

async function embedded(): Promise<{ chat: Chat; serving: Serving; url: string }> {
  const log = (line: string) => {
    throw new Error(line);
  };
  const chat = await createChat({ postRate: 0, loginRate: 0, log });
  const serving = serve(chat.handler, { log });
  await once(serving.server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => serving.server.closeAllConnections());
  const { port } = serving.server.address() as AddressInfo;
  return { chat, serving, url: `http://127.0.0.1:${port}` };
}

const ORDERS: Record<string, (chat: Chat, serving: Serving) => Promise<unknown>> = {
  "the server and then the chat": (chat, serving) => Promise.all([serving.stop(), chat.close()]),
  "the chat and then the server": (chat, serving) => Promise.all([chat.close(), serving.stop()]),
  "the chat, and when it is closed the server": async (chat, serving) => {
    await chat.close();
    await serving.stop();
  },
  "the server, and when it has stopped the chat": async (chat, serving) => {
    await serving.stop();
    await chat.close();
  },
  "both twice": (chat, serving) =>
    Promise.all([serving.stop(), serving.stop(), chat.close(), chat.close(), serving.stop()]),
};

test.each(Object.entries(ORDERS))("a host that stops %s resets no connection", async (_, stop) => {
  const { chat, serving, url } = await embedded();
  // While the chat is open, a poll is held until its time-out.
  const room = await busy(url, 30, 2);
  const stopped = stop(chat, serving);
  await expectAnswers(room);
  await stopped;
  await expect(ask(`${url}/healthz`, { agent: new http.Agent() })).rejects.toThrow("ECONNREFUSED");
  expect(chat.waiting).toBe(0);
});

test("stopping both twice resolves, and no request reaches the host afterwards", async () => {
  const { chat, serving } = await embedded();
  await Promise.all([serving.stop(), chat.close()]);
  await Promise.all([serving.stop(), chat.close()]);
});

test("a request on an idle connection during the stop is answered, and then the connection closes", async () => {
  const { chat, serving, url } = await embedded();
  const port = Number(new URL(url).port);
  const dial = async (): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1").setEncoding("latin1");
    await once(socket, "connect");
    return socket;
  };
  const get = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const [idle, silent, asked] = [await dial(), await dial(), await dial()];
  for (const socket of [idle, asked]) {
    socket.write(get);
    expect((await once(socket, "data"))[0]).toMatch(/^HTTP\/1.1 200 /);
  }
  const stopped = Promise.all([serving.stop(), chat.close()]);
  let text = "";
  asked.on("data", (piece: string) => {
    text += piece;
  });
  asked.write(get);
  // No connection is reset. Idle ones see an end.
  const errors: unknown[] = [];
  for (const socket of [idle, silent, asked]) socket.on("error", (error) => errors.push(error));
  await Promise.all([idle, silent, asked].map((socket) => once(socket.resume(), "close")));
  expect(text).toMatch(/^HTTP\/1.1 503 (.*\r\n)*Connection: close\r\n/);
  expect(errors).toEqual([]);
  await stopped;
});

test("a large reply to a slow reader is sent whole during the stop", async () => {
  const { chat, serving, url } = await embedded();
  const ann = await Person.login(url, "ann");
  for (let n = 0; n < 600; n++) await ann.post("x".repeat(2000));
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(`GET /get_post/ann?since=0&wait=0 HTTP/1.1\r\nHost: x\r\nCookie: ${ann.cookie}\r\n\r\n`);
  await once(socket, "readable");
  const stopped = Promise.all([serving.stop(), chat.close()]);
  ann.close();
  // All other connections close first.
  while ((await connections(serving)) > 1) await nextTurn();
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  await once(socket, "close");
  await stopped;
  const [head = "", body = ""] = text.split("\r\n\r\n");
  expect(body).toHaveLength(Number(/\r\nContent-Length: (\d+)/.exec(head)?.[1]));
});

const connections = ({ server }: Serving) =>
  new Promise<number>((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
