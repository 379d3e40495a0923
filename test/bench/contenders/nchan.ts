/** nchan, whose cursor is the pair of headers that a cache would use. */

import { fileURLToPath } from "node:url";
import { ServerUnderTest } from "../server.js";
import { type Contender, get, post } from "./contender.js";
import { nchanMissing } from "./missing.js";

export const nchan: Contender = {
  name: "nchan",
  about: "nginx in C, one worker, no log-ins",
  missing: nchanMissing,
  start: () =>
    ServerUnderTest.start(
      process.execPath,
      fileURLToPath(new URL("../../servers/nchan.mjs", import.meta.url)),
    ),
  enter: async (_, n) => ({ ticket: `${n}`, cursor: "" }),
  dialect: {
    poll: ({ cursor }) => get("/sub", cursor),
    read({ head, body }) {
      const modified = /last-modified: *([^\r]+)/i.exec(head)?.[1];
      const tag = /etag: *([^\r]+)/i.exec(head)?.[1];
      return {
        cursor: `If-Modified-Since: ${modified}\r\nIf-None-Match: ${tag}\r\n`,
        // Each message was posted with its line end.
        texts: body.split("\n").filter(Boolean),
      };
    },
  },
  post: (_, text) => post("/pub", "text/plain", `${text}\n`),
  crowds: [1000, 10_000],
};
