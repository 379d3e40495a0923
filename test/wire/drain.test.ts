/** A server that stops in a busy room: every request that was sent gets its reply. */
import { once } from "node:events";
import http from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { expect, test, vi } from "vitest";
import { type Running, startRoom as start, until } from "./chat.js";
import { ask, type Batch, code, Person, type Reply } from "./person.js";
import { dial, get } from "./raw.js";
import { startServer } from "./server.js";

const HEALTH = get("/healthz");
const DRAINING = /^HTTP\/1\.1 503 (.*\r\n)*Connection: close\r\n/;

/**
 * Clients in a busy room, each on one connection until a reply has `Connection: close`. Every fourth alternates posts and
 * polls. Resolves when all are busy; `check` waits for the last replies.
 */
async function busy(url: string, count: number, wait = 60) {
  const people = await Promise.all(Array.from({ length: count }, (_, n) => Person.login(url, `n${n}`)));
  const answered = people.map(() => 0);
  const run = async (person: Person, n: number): Promise<Reply> => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let cursor = "0"; ; ) {
      const isPost = n % 4 === 0 && (answered[n] ?? 0) % 2 === 0;
      const reply = isPost
        ? await person.say("news", {}, { agent })
        : await person.poll(`since=${cursor}&wait=${wait}&client=a`, { agent });
      if (!isPost) ({ cursor } = JSON.parse(reply.body) as Batch);
      answered[n] = (answered[n] ?? 0) + 1;
      if (reply.headers.connection === "close") return reply;
    }
  };
  // A request without a reply rejects.
  const last = Promise.all(people.map(run));
  await until(() => answered.every((count) => count >= 3));
  return async function check(): Promise<Reply[]> {
    const replies = await last;
    for (const { status, headers } of replies) {
      if (status === 503) expect(headers["retry-after"]).toMatch(/^\d+$/);
      else expect(status).toBe(200);
    }
    return replies;
  };
}

test("a signal in a busy room resets no connection, and the program ends with 0", async () => {
  const server = await startServer();
  const check = await busy(server.url, 300);
  // The kit tries SIGTERM.
  const exited = server.stop("SIGINT");
  const polls = (await check()).filter(({ sent }) => sent.startsWith("GET "));
  expect(polls.length).toBeGreaterThan(0);
  for (const { body } of polls) expect((JSON.parse(body) as Batch).retry).toBeGreaterThanOrEqual(0);
  expect([await exited, server.stderr()]).toEqual([0, ""]);
});

/** Sends 20 requests on connections of their own, counts those that are sent, and reports the replies. */
const CLIENTS = `
  const { connect } = require("node:net");
  const { parentPort, workerData } = require("node:worker_threads");
  const read = async (socket) => (await socket.setEncoding("latin1").toArray()).join("");
  const replies = Array.from({ length: 20 }, () => {
    const socket = connect(workerData.port, "127.0.0.1");
    socket.write(workerData.request, () => Atomics.add(workerData.sent, 0, 1));
    return read(socket);
  });
  Promise.all(replies).then((texts) => parentPort.postMessage(texts));
`;

test("requests on connections that were not accepted before the stop are answered", async () => {
  const { chat, stop, port } = await start({ serve: {} });
  const sent = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(CLIENTS, { eval: true, workerData: { port, request: HEALTH, sent } });
  const replies = once(worker, "message");
  // The server is in this thread, so it accepts nothing meanwhile.
  for (let count = 0; count < 20; count = Atomics.load(sent, 0)) Atomics.wait(sent, 0, count, 5);
  const stopped = Promise.all([stop(), chat.close()]);
  const [texts] = (await replies) as [string[]];
  expect(texts).toHaveLength(20);
  for (const text of texts) expect(text).toMatch(DRAINING);
  await stopped;
});

test.each<[string, (running: Running) => Promise<unknown>]>([
  ["the server and then the chat", ({ chat, stop }) => Promise.all([stop(), chat.close()])],
  ["the chat, and when it is closed the server", ({ chat, stop }) => chat.close().then(stop)],
  ["the server, and when it has stopped the chat", ({ chat, stop }) => stop().then(() => chat.close())],
  ["both twice", ({ chat, stop }) => Promise.all([stop(), stop(), chat.close(), chat.close(), stop()])],
])("a host that stops %s resets no connection", async (_, end) => {
  const running = await start({ serve: {} });
  // While the chat is open, a poll is held until its time-out.
  const check = await busy(running.url, 30, 0.5);
  const stopped = end(running);
  await check();
  await stopped;
  const agent = new http.Agent();
  await expect(ask(`${running.url}/healthz`, { agent })).rejects.toThrow("ECONNREFUSED");
  expect(running.chat.waiting).toBe(0);
});

test("a draining server answers /healthz and posts with 503, and a poll with a retry time", async () => {
  const { url, chat, ann } = await start();
  const id = await ann.post("before");
  await chat.close();
  const poll = await ann.poll(`since=${id}&wait=60`);
  expect(JSON.parse(poll.body)).toMatchObject({ cursor: id, messages: [], retry: expect.any(Number) });
  const refused = [await ask(`${url}/healthz`), await ann.say("too late")];
  for (const reply of refused) expect(code(reply)).toEqual([503, "draining"]);
  for (const { headers } of refused) expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  for (const { headers } of [...refused, poll]) expect(headers.connection).toBe("close");
});

test("a request on an idle connection during the stop is answered, and then the connection closes", async () => {
  const { chat, stop, port } = await start({ serve: {} });
  const [idle, asked, silent] = [dial(port, HEALTH), dial(port, HEALTH), dial(port)];
  await until(() => idle.text().endsWith("ok") && asked.text().endsWith("ok") && !silent.socket.connecting);
  // No connection is reset. Idle ones see an end.
  const errors: unknown[] = [];
  for (const { socket } of [idle, asked, silent]) socket.on("error", (error) => errors.push(error));
  const before = asked.text().length;
  const stopped = Promise.all([stop(), chat.close()]);
  asked.send(HEALTH);
  await Promise.all([idle.closed, silent.closed]);
  expect((await asked.closed).text.slice(before)).toMatch(DRAINING);
  expect(errors).toEqual([]);
  await stopped;
});

test("a large reply to a slow reader is sent whole during the stop", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const { chat, stop, ann, port, server } = await start({ serve: {} });
  for (let n = 0; n < 600; n++) await chat.post({ user: "bot", text: "x".repeat(2000) });
  const asked = once(server, "request");
  const { socket, send, closed } = dial(port);
  socket.pause();
  send(get("/get_post/ann?since=0&wait=0", `Cookie: ${ann.cookie}`));
  await asked;
  let isStopped = false;
  const stopped = Promise.all([stop(), chat.close()]).then(() => {
    isStopped = true;
  });
  /** Lets a second pass, after which idle connections are closed. */
  const second = async () => {
    vi.advanceTimersByTime(1_000);
    for (let turn = 0; turn < 3; turn++) await nextTurn();
  };
  for (let n = 0; n < 20; n++) await second();
  socket.resume();
  while (!isStopped) await second();
  const [head = "", body = ""] = (await closed).text.split("\r\n\r\n");
  await stopped;
  expect(body).toHaveLength(Number(/\r\nContent-Length: (\d+)/.exec(head)?.[1]));
});
