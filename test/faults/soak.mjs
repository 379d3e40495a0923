/**
 * A million messages, posted over HTTP by ten people on pipelines of their own, and read by ten others who poll: the heap after each
 * tenth, which is to be flat, and whether all arrived. About two minutes; MESSAGES=100000 for fewer.
 *
 *     node test/faults/soak.mjs
 */
import http from "node:http";
import { connect } from "node:net";
import { ask, HOST, login, startWrapped, stop } from "./people.mjs";

const MESSAGES = Number(process.env.MESSAGES ?? 1_000_000);
const POSTERS = 10;
const READERS = 10;
/** Requests on their way at once, per poster. */
const AHEAD = 10;

const server = await startWrapped();
const { port } = server;
const inside = async () => JSON.parse((await ask(port, "/inside")).body);

/** Posts its share, so many ahead, each with a key of its own. */
async function speak(name, share) {
  const cookie = await login(port, name);
  const head = `POST /put_post/${name} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
  let sent = 0;
  let kept = 0;
  await new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const more = () => {
      let text = "";
      for (; sent < share && sent - kept < AHEAD; sent++) {
        const body = `message=${sent}+${"x".repeat(sent % 200)}&key=${sent}`;
        text += `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
      }
      socket.write(text);
    };
    let rest = "";
    socket.setEncoding("latin1").on("data", (text) => {
      rest += text;
      for (let at = rest.indexOf('{"id":'); at >= 0 && rest.includes("}", at); at = rest.indexOf('{"id":')) {
        rest = rest.slice(rest.indexOf("}", at));
        kept++;
      }
      if (/HTTP\/1.1 [45]/.test(rest)) reject(new Error(rest));
      if (kept === share) {
        resolve();
        socket.destroy();
      } else if (sent - kept <= AHEAD / 2) more();
    });
    socket.on("error", reject).on("close", () => reject(new Error(`closed after ${kept}`)));
    more();
  });
}

async function read(name, count) {
  const headers = { Cookie: await login(port, name), Host: HOST };
  const agent = new http.Agent({ keepAlive: true });
  let cursor = "now";
  while (count.seen + count.gaps * 1e9 < MESSAGES) {
    const { body } = await ask(port, `/get_post/${name}?since=${cursor}&wait=10&client=c`, {
      headers,
      agent,
    });
    const batch = JSON.parse(body);
    cursor = batch.cursor;
    count.seen += batch.messages.filter(({ kind }) => kind === undefined).length;
    if (batch.gap) count.gaps++;
  }
}

const counts = Array.from({ length: READERS }, () => ({ seen: 0, gaps: 0 }));
const readers = counts.map((count, n) => read(`reader${n}`, count));
const started = performance.now();
const heaps = [];
console.log("to begin with", JSON.stringify(await inside()));
for (let tenth = 1; tenth <= 10; tenth++) {
  await Promise.all(
    Array.from({ length: POSTERS }, (_, n) => speak(`poster${tenth}-${n}`, MESSAGES / 10 / POSTERS)),
  );
  const figures = await inside();
  heaps.push(figures.heap);
  console.log(`${(MESSAGES / 10) * tenth}`.padStart(8), JSON.stringify(figures));
}
const seconds = (performance.now() - started) / 1000;
await Promise.race([Promise.all(readers), new Promise((resolve) => setTimeout(resolve, 5_000))]);
const whole = counts.filter(({ seen, gaps }) => seen === MESSAGES && gaps === 0).length;
console.log(
  `${Math.round(MESSAGES / seconds)} messages/s; ${whole} of ${READERS} readers saw every one without a gap`,
);
console.log(`the server said: ${await stop(server)}`);
const growth = heaps.at(-1) - heaps[1];
console.log(growth < 3 ? `flat: ${growth.toFixed(1)} MB` : `NOT flat: ${growth.toFixed(1)} MB`);
process.exit(growth < 3 ? 0 : 1);
