/** A bare `node:http` server on a free port for a handler. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { Request } from "../../src/http/request.js";
import type { HttpError, HttpResponse } from "../../src/http/response.js";
import { type Handler, Router } from "../../src/http/router.js";
import { type Ask, exchange } from "../conformance/site.js";

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
  const { port } = server.address() as AddressInfo;
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

/** Sends one request and returns its reply. The target is sent unchanged. */
export const ask = (port: number, target: string, options: Ask = {}) =>
  exchange(new URL(`http://127.0.0.1:${port}`), target, options);
