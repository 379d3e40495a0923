/** A proxy between a browser and a chat. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Passes a reply on; `send` sends it as it is. */
export type Pass = (
  req: IncomingMessage,
  reply: IncomingMessage,
  res: ServerResponse,
  send: () => void,
) => void;

/** Starts a proxy, which calls `pass` for each reply. Returns its URL and what ends it. */
export async function startProxy(target: string, pass: Pass): Promise<{ url: string; close(): void }> {
  const proxy = createServer((req, res) => {
    const { method, url, headers } = req;
    const inner = request(`${target}${url}`, { method, headers }, (reply) =>
      pass(req, reply, res, () => {
        res.writeHead(reply.statusCode ?? 502, reply.rawHeaders);
        reply.pipe(res);
      }),
    );
    // The browser closes a connection whose reply it no longer needs.
    inner.on("error", () => res.destroy());
    res.on("close", () => inner.destroy());
    req.pipe(inner);
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    close() {
      proxy.close();
      proxy.closeAllConnections();
    },
  };
}
