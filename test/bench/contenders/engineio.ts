/** engine.io, by its protocol 4: packets that begin with their type, several in a payload. */
import type { Client } from "../clients.js";
import { node } from "../server.js";
import { type Contender, get, post } from "./contender.js";
import { npmMissing } from "./missing.js";

const SEPARATOR = "\x1e";

const path = (sid: string) => `/engine.io/?EIO=4&transport=polling&sid=${sid}`;
const send = (sid: string, payload: string) => post(path(sid), "text/plain;charset=UTF-8", payload);
const poll = ({ ticket }: { readonly ticket: string }) => get(path(ticket));

export const engineio: Contender = {
  name: "engine.io",
  about: "6.6 on node:http, polling only",
  isFromNpm: true,
  missing: () => npmMissing("engine.io"),
  start: () => node(new URL("../../servers/engineio.mjs", import.meta.url)),
  async enter(connection) {
    const { body } = await connection.exchange(get("/engine.io/?EIO=4&transport=polling"));
    const { sid } = JSON.parse(body.slice(1)) as { sid: string };
    return { ticket: sid, cursor: "" };
  },
  dialect: {
    poll,
    read({ body }) {
      // The receipt of a pong: the poll is under way already.
      if (body === "ok") return { cursor: "", texts: [], next: () => "" };
      const packets = body.split(SEPARATOR);
      const texts = packets.filter((packet) => packet.startsWith("4")).map((packet) => packet.slice(1));
      return { cursor: "", texts, ...(packets.includes("2") && { next: pong }) };
    },
  },
  post: (sid, text) => send(sid, `4${text}`),
  crowds: [1000, 10_000],
};

function pong(client: Client): string {
  return send(client.ticket, "3") + poll(client);
}
