/** Two that Python programmers meet first: a tutorial's chat, and the idea of Tornado's demo. */
import { fileURLToPath } from "node:url";
import { ServerUnderTest } from "../server.js";
import { type Contender, cookie, form, get } from "./contender.js";
import { python, pythonMissing } from "./missing.js";

function start(program: string, ...modules: readonly string[]): Promise<ServerUnderTest> {
  const file = fileURLToPath(new URL(`../../servers/${program}`, import.meta.url));
  return ServerUnderTest.start(python(modules) ?? "python3", file);
}

/** Messages a second. */
const SLOW = [1, 2, 5, 10, 20, 50];

// A ticket is the name and the cookie's header.
const nameOf = (ticket: string) => ticket.slice(0, ticket.indexOf(" "));
const cookieOf = (ticket: string) => ticket.slice(ticket.indexOf(" ") + 1);

export const tutorial: Contender = {
  name: "tutorial",
  about: "Flask on gevent, a queue for each user, one message a reply",
  missing: () => pythonMissing("flask", "gevent"),
  start: () => start("tutorial.py", "flask", "gevent"),
  async enter(connection, n) {
    const { head } = await connection.exchange(form("/login", "name", `user-${n}`));
    return { ticket: `user-${n} ${cookie(head)}`, cursor: "" };
  },
  dialect: {
    poll: ({ ticket }) => get(`/get_post/${nameOf(ticket)}`, cookieOf(ticket)),
    read: ({ body }) => ({ cursor: "", texts: [JSON.parse(body) as string] }),
  },
  post: (ticket, text) => form(`/put_post/${nameOf(ticket)}`, "message", text, cookieOf(ticket)),
  crowds: [1000],
  rates: SLOW,
};

interface Update {
  readonly messages: readonly { readonly id: string; readonly body: string }[];
}

export const tornado: Contender = {
  name: "tornado",
  about: "the idea of Tornado's chat demo, no log-ins",
  missing: () => pythonMissing("tornado"),
  start: () => start("tornado_chat.py", "tornado"),
  enter: async (_, n) => ({ ticket: `${n}`, cursor: "" }),
  dialect: {
    poll: ({ cursor }) => form("/a/message/updates", "cursor", cursor),
    read({ body }) {
      const { messages } = JSON.parse(body) as Update;
      return { cursor: messages.at(-1)?.id ?? "", texts: messages.map((message) => message.body) };
    },
  },
  post: (_, text) => form("/a/message/new", "body", text),
  crowds: [1000],
  rates: SLOW,
};
