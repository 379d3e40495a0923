/** A proxy between a browser and a chat. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One request on its way through the proxy. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Asks the server. */
  ask(): Promise<IncomingMessage>;
  /** Sends a reply of the server as it is. */
  send(reply: IncomingMessage): void;
}

export interface TestProxy {
  readonly url: string;
  /** Handles each request. The default passes everything on. */
  handle: (exchange: Exchange) => unknown;
  close(): void;
}

/** Passes a request and its reply on. */
export const pass = async ({ ask, send }: Exchange) => send(await ask());

/** Starts a proxy in front of a server. The caller closes it. */
export async function startProxy(target: string, handle: TestProxy["handle"] = pass): Promise<TestProxy> {
  const server = createServer((req, res) => {
    const { method, url, headers } = req;
    proxy.handle({
      req,
      res,
      ask: () =>
        new Promise((resolve) => {
          const inner = request(`${target}${url}`, { method, headers }, resolve);
          // The browser closes a connection whose reply it no longer needs.
          inner.on("error", () => res.destroy());
          res.on("close", () => inner.destroy());
          req.pipe(inner);
        }),
      send(reply) {
        res.writeHead(reply.statusCode ?? 502, reply.rawHeaders);
        reply.pipe(res);
      },
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: TestProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    handle,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}
