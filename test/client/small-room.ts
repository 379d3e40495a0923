/** A room over real HTTP whose replies can be replaced by faults. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Message } from "../../src/client/index.js";

/** Handles one reply; `good` sends the right one. */
export type Fault = (req: IncomingMessage, res: ServerResponse, good: () => void) => void;

/** The part of a room that the client sees: messages, held polls, idempotency keys. `fault` handles each reply. */
export class Room {
  readonly messages: Message[] = [];
  readonly #keys = new Map<string, string>();
  readonly #waiters = new Set<() => void>();
  fault: Fault = (_req, _res, good) => good();

  readonly handler: RequestListener = async (req, res) => {
    const url = new URL(req.url ?? "/", "http://room.test");
    if (url.pathname === "/put_post/ann") {
      let body = "";
      for await (const chunk of req.setEncoding("utf8")) body += chunk;
      const id = this.post(
        new URLSearchParams(body).get("message") ?? "",
        String(req.headers["idempotency-key"]),
      );
      this.fault(req, res, () => res.end(JSON.stringify({ id })));
    } else if (url.pathname === "/get_post/ann") {
      const since =
        url.searchParams.get("since") === "now"
          ? this.messages.length
          : Number.parseInt(url.searchParams.get("since") ?? "", 10);
      const answer = () => this.fault(req, res, () => res.end(this.reply(since)));
      if (this.messages.length > since || url.searchParams.get("wait") === "0") return answer();
      this.#waiters.add(answer);
      res.on("close", () => this.#waiters.delete(answer));
    } else res.writeHead(200, { "content-type": "text/html" }).end("<form>your name?</form>");
  };

  post(text: string, key: string): string {
    const known = this.#keys.get(key);
    if (known) return known;
    const id = `${this.messages.length + 1}-0` as const;
    this.messages.push({ id, user: "ann", text, at: 1 });
    this.#keys.set(key, id);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const answer of waiters) answer();
    return id;
  }

  reply(since: number): string {
    return JSON.stringify({
      cursor: `${this.messages.length}-0`,
      present: 1,
      messages: this.messages.slice(since),
    });
  }
}
