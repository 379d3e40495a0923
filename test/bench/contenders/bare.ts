/** The measure of all: what node:http itself costs. */
import { node } from "../server.js";
import { type Contender, form, get } from "./contender.js";
import { readBatch } from "./holdline.js";

/** It has no log-ins, but reads as long a request as holdline does. */
const COOKIE = `Cookie: holdline=${"x".repeat(120)}\r\n`;

export const bare: Contender = {
  name: "bare",
  about: "node:http with an array, a Set of held responses, one shared body",
  missing: () => undefined,
  start: () => node(new URL("../../servers/bare.mjs", import.meta.url)),
  enter: async (_, n) => ({ ticket: `user-${n}`, cursor: "0" }),
  dialect: {
    poll: ({ ticket, cursor }) => get(`/get_post/${ticket}?since=${cursor}&wait=25&client=bench`, COOKIE),
    read: readBatch,
  },
  post: (_, text) => form("/post", "message", text, COOKIE),
  crowds: [1000, 10_000],
};
