/** Requests leave nothing in memory. */
import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { type RunningRoom as Room, startRoom as start, until } from "../wire/chat.js";
import { ask, FORM, Person } from "../wire/person.js";
import { dial, get, hear, post } from "../wire/raw.js";

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

/** How many requests are sent, the bytes of each that nobody needs later, and the bytes of each that may stay. */
const [COUNT, PADDING, MAY_STAY] = [400, 7_000, 4_500];
const padding = "y".repeat(PADDING);

/** Returns the bytes in use on the heap of this process, which has the server and its clients. */
function used(): number {
  gc();
  return process.memoryUsage().heapUsed;
}

/** Logs a reader in, and polls without a cursor behind another request, so the reply comes at once and has no text. */
async function pollEmpty({ url, port }: Room, name: string): Promise<void> {
  const { cookies } = await Person.login(url, name);
  const poll = get(`/get_post/${name}`, `Cookie: padding=${padding}; ${cookies}`, "Connection: close");
  expect((await hear(port, get("/healthz") + poll)).text).toMatch(/\r\n\r\n""\n$/);
}

async function pollText({ url }: Room, name: string): Promise<void> {
  const reader = await Person.login(url, name);
  const poll = reader.poll("", { headers: { Cookie: `padding=${padding}; ${reader.cookies}` } });
  expect((await poll).body).toBe('"hello"\n');
  reader.close();
}

test.each<[string, (room: Room, id: string) => Promise<unknown>]>([
  [
    "a log-in keeps no other field of its body",
    async ({ url }, name) => {
      const body = `name=${name}&padding=${padding}`;
      expect((await ask(`${url}/login`, { method: "POST", headers: FORM, body })).status).toBe(303);
    },
  ],
  ["a request keeps no URL", async ({ url }, name) => ask(`${url}/chatroom/${name}?${padding}`)],
  [
    "a held poll whose client disconnects keeps nothing",
    async ({ port, ann, chat }, client) => {
      const path = `/get_post/ann?since=now&wait=60&client=${client}`;
      const { socket } = dial(port, get(path, `Cookie: ${ann.cookie}`, `X: ${padding}`));
      await until(() => chat.waiting > 0);
      socket.destroy();
      await until(() => chat.waiting === 0);
    },
  ],
  [
    "a message keeps no other field of its body",
    async ({ ann }, id) => {
      const message = `message=something-or-other-${id}&key=some-key-or-other-${id}`;
      const fields = [message, `padding=${padding}`];
      for (const body of [fields, fields.reverse()]) {
        expect((await ann.send("put_post/ann", body.join("&"))).status).toBe(200);
      }
    },
  ],
  ["a plain poll without a text keeps neither its request nor a header", pollEmpty],
  ["a plain poll with a text keeps neither its request nor a header", pollText],
])("%s in memory", async (_, work) => {
  const room = await start({ backlog: 2_000, grace: 3_600_000 });
  const batch = async (from: number) => {
    const ids = Array.from({ length: 8 }, (_, n) => `somebody-or-other-${from + n}`);
    const works = ids.map((id) => work(room, id));
    if (work === pollText) {
      await until(() => room.chat.waiting === ids.length);
      await room.ann.post("hello");
    }
    await Promise.all(works);
  };
  // The first requests compile functions and fill caches.
  for (let n = 0; n < 80; n += 8) await batch(n);
  const before = used();
  for (let n = 80; n < 80 + COUNT; n += 8) await batch(n);
  expect((used() - before) / COUNT).toBeLessThan(MAY_STAY);
});

test("unfinished bodies in chunks of one byte use no more memory than their bytes", async () => {
  const { port, ann, server } = await start();
  const chunks = 60_000;
  const [head] = post("/get_post/ann", "", `Cookie: ${ann.cookie}`, "Transfer-Encoding: chunked").split(
    "Content-Length",
  );
  const before = used();
  for (let n = 0; n < 3; n++) {
    const { socket } = dial(port, `${head}X: y\r\n\r\n`);
    const [{ socket: served }] = await once(server, "request");
    socket.write("1\r\nx\r\n".repeat(chunks));
    await until(() => served.bytesRead > 6 * chunks);
  }
  expect((used() - before) / chunks).toBeLessThan(30);
});
