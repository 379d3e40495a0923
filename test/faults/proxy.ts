/** A TCP proxy on a free port. It can change its target, close connections, and hold bytes. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export type TcpProxy = Awaited<ReturnType<typeof startProxy>>;

/** @param cutAt a client that sends this text is cut off, once, instead of getting the answer */
export async function startProxy(target: number, cutAt?: string) {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let isHeld = false;
  /** Closes all connections. */
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  let clients = 0;
  let cutOff: Socket | undefined;
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    clients++;
    client.on("close", () => clients--);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from
        .on("error", () => {})
        .on("close", () => {
          sockets.delete(from);
          to.destroy();
        });
      from.on("data", (bytes) => {
        if (cutAt !== undefined && from === client && bytes.includes(cutAt)) cutOff ??= upstream;
        if (from === cutOff) client.destroy();
        const pass = () => void (to.destroyed || to.write(bytes));
        if (isHeld) held.push(pass);
        else pass();
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    /** Returns how many clients are connected. */
    clients: () => clients,
    cut,
    /** Connects to another port from now on, and closes all connections. */
    switchTo(port: number) {
      target = port;
      cut();
    },
    /** Holds all bytes, like a network without a route. */
    hold() {
      isHeld = true;
    },
    /** Passes on the bytes that were held. */
    release() {
      isHeld = false;
      for (const pass of held.splice(0)) pass();
    },
    close() {
      server.close();
      cut();
    },
  };
}
