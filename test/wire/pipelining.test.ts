/**
 * Pipelined requests: executed in order and one at a time, or not at all. The fuzz test sends hundreds of sequences in
 * which a reply closes the connection.
 */
import { describe, expect, test } from "vitest";
import { roomPerTest, until } from "./chat.js";
import { type Person, texts } from "./person.js";
import { dial, get, hear, post, statuses } from "./raw.js";

const start = roomPerTest();
const CLOSE = "Connection: close";
const by = ({ cookie }: Person) => `Cookie: ${cookie}`;
const say = (text: string, person: Person, ...lines: string[]) =>
  post(`/put_post/${person.name}`, `message=${text}`, by(person), ...lines);

test("a post behind a closing reply in an earlier packet is not executed", async () => {
  const { ann, port } = await start();
  const { socket, send, closed } = dial(port, say("once", ann, CLOSE));
  socket.on("data", () => send(say("twice", ann)));
  expect((await closed).statuses).toEqual([200]);
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["once"]);
});

describe("behind a held poll", () => {
  async function begin() {
    const running = await start();
    const { ann } = running;
    await ann.end();
    return { ...running, poll: get("/get_post/ann?since=now&wait=60", by(ann)) };
  }

  test("requests wait and are answered in order", async () => {
    const { chat, port, ann, poll } = await begin();
    const heard = hear(port, poll + say("behind", ann) + get("/who", by(ann)) + get("/healthz", CLOSE));
    await until(() => chat.waiting === 1);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
    await ann.post("go");
    const { text, statuses } = await heard;
    expect(statuses).toEqual([200, 200, 200, 200]);
    const signs = [/"text":"go"/, /\{"id":"[0-9-]+"\}/, /\{"count":1/, /ok$/];
    const places = signs.map((sign) => text.search(sign));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(Math.min(...places)).toBeGreaterThan(0);
  });

  test("requests are dropped when their connection closes", async () => {
    const { chat, port, ann, poll } = await begin();
    const { socket } = dial(port, poll + say("never", ann));
    await until(() => chat.waiting === 1);
    socket.resetAndDestroy();
    await until(() => chat.waiting === 0);
    expect(texts(await ann.batch("since=0&wait=0"))).toEqual([]);
  });

  test("more than sixteen requests close the connection", async () => {
    const { chat, port, ann, poll } = await begin();
    expect((await hear(port, poll + get("/healthz").repeat(17))).statuses).toEqual([]);
    await until(() => chat.waiting === 0);
    // Sixteen are allowed, any number of times.
    const { socket, send, text } = dial(port);
    for (let round = 1; round <= 3; round++) {
      send(poll + get("/healthz").repeat(16));
      await until(() => chat.waiting === 1);
      await ann.post(`round${round}`);
      await until(() => statuses(text()).length === 17 * round);
    }
    socket.destroy();
    await until(() => chat.waiting === 0);
  });
});
