/** holdline as its users run it, without the limits that would turn the load away. */
import type { Said } from "../clients.js";
import { node } from "../server.js";
import { type Contender, cookie, form, get } from "./contender.js";

const FLAGS = "--port 0 --data none --post-rate 0 --login-rate 0 --max-waiters 20000 --backlog 10000".split(
  " ",
);

interface Batch {
  readonly cursor: string;
  readonly messages: readonly { readonly text: string; readonly kind?: string }[];
}

/** What a batch says; notices are not counted. */
export function readBatch({ body }: { readonly body: string }): Said {
  const { cursor, messages } = JSON.parse(body) as Batch;
  return { cursor, texts: messages.filter(({ kind }) => kind === undefined).map(({ text }) => text) };
}

// A ticket is the name and the cookie's header.
const nameOf = (ticket: string) => ticket.slice(0, ticket.indexOf(" "));
const cookieOf = (ticket: string) => ticket.slice(ticket.indexOf(" ") + 1);

export const holdline: Contender = {
  name: "holdline",
  about: "this",
  missing: () => undefined,
  start: () => node(new URL("../../../../dist/server.js", import.meta.url), ...FLAGS),
  async enter(connection, n) {
    const name = `user-${n}`;
    const { head } = await connection.exchange(form("/login", "name", name));
    const ticket = `${name} ${cookie(head)}`;
    // A poll, so that nobody's coming disturbs what is measured.
    const { body } = await connection.exchange(get(`/get_post/${name}?since=now&wait=0`, cookieOf(ticket)));
    return { ticket, cursor: readBatch({ body }).cursor };
  },
  dialect: {
    poll: ({ ticket, cursor, wait }) =>
      get(`/get_post/${nameOf(ticket)}?since=${cursor}&wait=${wait}&client=bench`, cookieOf(ticket)),
    read: readBatch,
  },
  post: (ticket, text) => form(`/put_post/${nameOf(ticket)}`, "message", text, cookieOf(ticket)),
  page: (ticket) => get(`/chatroom/${nameOf(ticket)}/`, cookieOf(ticket)),
  crowds: [1000, 10_000],
};
