/** A bare `node:http` server on a free port for a handler, and clients that send given bytes. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { onTestFinished } from "vitest";
import { Request } from "../../src/http/request.js";
import { type HttpError, type HttpResponse, type Result, send } from "../../src/http/response.js";
import { type Handler, Router } from "../../src/http/router.js";

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

/** A promise that is resolved from outside: something that a test waits for. */
export function awaited<T = void>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Listens until the test ends. Gives the port. */
export async function listen(listener: http.RequestListener): Promise<number> {
  const server = http.createServer(listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Listens with a router of these handlers, by `METHOD /pattern`. What handlers threw is in `failures`. */
export async function listenRouter(
  handlers: Readonly<Record<string, Handler>>,
  options: {
    closing?: () => boolean;
    toResponse?: (request: Request, error: HttpError) => HttpResponse;
  } = {},
) {
  const failures: unknown[] = [];
  const router = new Router({
    bodyLimit: 1000,
    trustProxy: false,
    closing: () => false,
    toResponse: (_request, { status, code, headers }) => ({ status, body: code, headers }),
    onError: (error) => failures.push(error),
    ...options,
  });
  for (const [route, handler] of Object.entries(handlers)) {
    const [, method, pattern = ""] = /^(GET|POST) (.*)$/.exec(route) ?? [];
    router.on(method === "POST" ? "POST" : "GET", pattern, handler);
  }
  return { port: await listen((req, res) => router.handle(req, res)), failures };
}

/** Listens with a function of the request alone. */
export function listenRequest(
  answer: (request: Request) => Result | Promise<Result>,
  options: { bodyLimit?: number; trustProxy?: boolean } = {},
): Promise<number> {
  return listen(async (req, res) => {
    const request = new Request(req, res, { bodyLimit: 1000, trustProxy: false, ...options });
    const result = await answer(request);
    if (typeof result !== "symbol") send(res, result);
  });
}

/** One request on a connection of its own, one reply. */
export function ask(port: number, path: string, { body, ...options }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: "127.0.0.1", port, path, agent: false, ...options }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", reject);
      res.on("end", () =>
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }),
      );
    });
    req.on("error", reject).end(body);
  });
}

/** Opens a connection and sends bytes on it. */
export async function dial(port: number, bytes: string | Buffer): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(bytes);
  return socket;
}

/** Sends bytes and gives everything that comes back until the server closes the connection. */
export async function raw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = await dial(port, bytes);
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}
