/** Faye, by the Bayeux protocol: JSON messages on channels, several in a request or reply. */
import { node } from "../server.js";
import { type Contender, post } from "./contender.js";
import { npmMissing } from "./missing.js";

interface Message {
  readonly channel: string;
  readonly successful?: boolean;
  readonly clientId?: string;
  readonly data?: string;
}

const CHANNEL = "/chat";

const send = (...messages: readonly object[]) => post("/faye", "application/json", JSON.stringify(messages));

export const faye: Contender = {
  name: "faye",
  about: "1.4 on node:http, long polling",
  isFromNpm: true,
  missing: () => npmMissing("faye"),
  start: () => node(new URL("../../servers/faye.mjs", import.meta.url)),
  async enter(connection) {
    const types = { version: "1.0", supportedConnectionTypes: ["long-polling"] };
    const shaken = await connection.exchange(send({ channel: "/meta/handshake", ...types }));
    const [{ clientId = "" } = {}] = JSON.parse(shaken.body) as Message[];
    await connection.exchange(send({ channel: "/meta/subscribe", clientId, subscription: CHANNEL }));
    return { ticket: clientId, cursor: "" };
  },
  dialect: {
    poll: ({ ticket }) =>
      send({ channel: "/meta/connect", clientId: ticket, connectionType: "long-polling", id: "1" }),
    read({ body }) {
      const messages = JSON.parse(body) as Message[];
      if (messages.some(({ successful }) => successful === false)) throw new Error(body);
      return {
        cursor: "",
        texts: messages.filter(({ channel }) => channel === CHANNEL).map(({ data = "" }) => data),
      };
    },
  },
  post: (clientId, data) => send({ channel: CHANNEL, clientId, data }),
  crowds: [1000, 10_000],
};
