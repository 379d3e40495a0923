/** What `serve` does with the head of a request whose reply takes its time: it counts it, and frees that of a held poll. */
import { IncomingMessage, type ServerResponse } from "node:http";
import { pendingRequests } from "./memory.js";

/** What a string of a head uses beside its characters, in bytes: measured on Node 20, with the lists that it is in. */
const STRING_BYTES = 64;

/** A URL that is longer is freed too, in characters. */
const LONG_URL = 256;

const counted = new WeakMap<IncomingMessage, number>();

/** Counts the head of a request until its reply is sent, or its poll is held. */
export function countHead(req: IncomingMessage, res: ServerResponse): void {
  const { socket, rawHeaders, url = "" } = req;
  if (rawHeaders.length === 0 || counted.has(req)) return;
  let bytes = url.length;
  for (const text of rawHeaders) bytes += text.length + STRING_BYTES;
  counted.set(req, bytes);
  pendingRequests.add(socket, bytes);
  res.once("close", () => uncount(req));
}

function uncount(req: IncomingMessage): void {
  pendingRequests.add(req.socket, -(counted.get(req) ?? 0));
  counted.delete(req);
}

/** A request to a server of `serve`. */
export class ServedRequest extends IncomingMessage {
  /**
   * Frees the head, since the reply comes much later: a browser's uses 4 KB, and ten thousand polls are held.
   *
   * Also reads a request without a body (RFC 9112, 6.3). If nobody does before the reply, Node takes a stream's steps to its
   * end, which was 6% of a delivery. The price: such a request never tells of its "end" or "close". The reply does.
   */
  hold(): void {
    const { "content-length": length, "transfer-encoding": coding } = this.headers;
    if (length === undefined && coding === undefined) this.read();
    if (counted.has(this)) uncount(this);
    this.headers = {};
    this.rawHeaders = [];
    if ((this.url ?? "").length > LONG_URL) this.url = "";
  }
}
