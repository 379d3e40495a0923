/** A bare `node:http` server on a free port for a handler, and clients that send given bytes. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { Request } from "../../src/http/request.js";
import { type HttpError, type HttpResponse, send } from "../../src/http/response.js";
import { type Handler, Router } from "../../src/http/router.js";

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A promise that is resolved from outside: something that a test waits for. */
export function awaited<T = void>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Listens on a free port until the test ends. */
export async function listen(listener: http.RequestListener, options: http.ServerOptions = {}) {
  const server = http.createServer({ keepAliveTimeout: 60_000, ...options }, listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  return { server, port, url: `http://127.0.0.1:${port}/` };
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
  return { ...(await listen((req, res) => router.handle(req, res))), failures };
}

/** Listens with a handler of all requests, without a router. Returns the port. */
export async function listenRequest(handler: Handler): Promise<number> {
  const { port } = await listen(async (req, res) => {
    const result = await handler(new Request(req, res, { bodyLimit: 1000, trustProxy: false }));
    if (typeof result !== "symbol") send(res, result);
  });
  return port;
}

/** One request on a connection of its own. Rejects if the connection is closed without a reply. */
export async function ask(
  port: number,
  path: string,
  { body, ...options }: http.RequestOptions & { body?: string | Buffer } = {},
): Promise<Answer> {
  const req = http.request({ host: "127.0.0.1", port, path, agent: false, ...options });
  const [res]: http.IncomingMessage[] = await once(req.end(body), "response");
  if (!res) throw new Error("no response");
  return { status: res.statusCode ?? 0, headers: res.headers, body: await buffer(res) };
}

/** Opens a connection and sends bytes on it. */
export async function dial(port: number, bytes: string | Buffer): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  socket.write(bytes);
  return socket;
}

/** Returns everything that comes on a connection until it is closed, or reset. */
export function rest(socket: net.Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  return new Promise((resolve) => socket.on("close", () => resolve(text)).resume());
}

/** Sends bytes and gives everything that comes back until the server closes the connection. */
export const raw = async (port: number, bytes: string | Buffer) => rest(await dial(port, bytes));
