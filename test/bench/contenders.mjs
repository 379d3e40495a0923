/**
 * The servers. A contender has `start(flags)`, which returns a Server; `enter(connection, n)`, which logs the nth client in;
 * `poll(client)`, `post(ticket, text)` and perhaps `page(ticket)`, which return requests; and `read(reply)`, which returns
 * the cursor and the texts. `missing()` says what to install.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { builds } from "./report.mjs";
import { Server, startNode } from "./server.mjs";

/** The headers that Chrome sends with a `fetch`. */
const BROWSER_HEADERS = `Connection: keep-alive\r
sec-ch-ua-platform: "Linux"\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36\r
sec-ch-ua: "Not)A;Brand";v="8", "Chromium";v="138", "Google Chrome";v="138"\r
sec-ch-ua-mobile: ?0\r
Accept: */*\r
Sec-Fetch-Site: same-origin\r
Sec-Fetch-Mode: cors\r
Sec-Fetch-Dest: empty\r
Referer: http://bench/chatroom/user-0/\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: en-US,en;q=0.9\r
`;
let everyHeader = "Host: bench\r\n";
/** Sets whether the requests from now on have the headers of a browser. */
export function setBrowserHeaders(isBrowser) {
  everyHeader = `Host: bench\r\n${isBrowser ? BROWSER_HEADERS : ""}`;
}

const get = (path, headers = "") => `GET ${path} HTTP/1.1\r\n${everyHeader}${headers}\r\n`;
const post = (path, type, body, headers = "") =>
  `POST ${path} HTTP/1.1\r\n${everyHeader}${headers}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const form = (path, field, value, headers) =>
  post(path, "application/x-www-form-urlencoded", `${field}=${encodeURIComponent(value)}`, headers);

/** Holdline as its users run it, without the limits that would refuse the load. @param dist its build */
const holdline = (name, dist) => ({
  name,
  isOurs: true,
  start: () =>
    startNode(
      new URL("server.js", dist),
      ..."--port 0 --data none --post-rate 0 --login-rate 0 --max-waiters 20000 --backlog 10000".split(" "),
    ),
  async enter(connection, n) {
    const user = `user-${n}`;
    const { head } = await connection.exchange(form("/login", "name", user));
    const ticket = { user, cookie: `Cookie: ${/set-cookie: *([^;\r]+)/i.exec(head)[1]}\r\n` };
    // The join notice is made here, so that it does not disturb the measurement.
    const { body } = await connection.exchange(get(`/get_post/${user}?since=now&wait=0`, ticket.cookie));
    return { ticket, cursor: JSON.parse(body).cursor };
  },
  poll: ({ ticket, cursor }) =>
    get(`/get_post/${ticket.user}?since=${cursor}&wait=25&client=bench`, ticket.cookie),
  read({ body }) {
    const { cursor, messages } = JSON.parse(body);
    return { cursor, texts: messages.filter(({ kind }) => !kind).map(({ text }) => text) };
  },
  post: ({ user, cookie }, text) => form(`/put_post/${user}`, "message", text, cookie),
  page: ({ user, cookie }) => get(`/chatroom/${user}/`, cookie),
});

/** A server without log-ins. Its requests are as long as those to holdline. */
const COOKIE = `Cookie: holdline=${"x".repeat(120)}\r\n`;
const anonymous = (name) => ({
  name,
  isOurs: true,
  start: (flags) => startNode(name, ...flags),
  enter: async (_, n) => ({ ticket: `user-${n}`, cursor: "0" }),
  poll: ({ ticket, cursor }) => get(`/get_post/${ticket}?since=${cursor}&wait=25&client=${ticket}`, COOKIE),
  read({ body }) {
    const { cursor, messages, events = messages } = JSON.parse(body);
    return { cursor, texts: events.map(({ text }) => text) };
  },
  post: (_, text) => form("/post", "message", text, COOKIE),
});

const enginePath = (sid) => `/engine.io/?EIO=4&transport=polling${sid ? `&sid=${sid}` : ""}`;
const engineSend = (sid, payload) => post(enginePath(sid), "text/plain;charset=UTF-8", payload);
const enginePoll = ({ ticket }) => get(enginePath(ticket));
/** Protocol 4: packets that begin with their type, several in a payload. */
const engineio = {
  name: "engine.io",
  npm: "engine.io",
  start: () => startNode("engine.io"),
  async enter(connection) {
    const { body } = await connection.exchange(get(enginePath()));
    return { ticket: JSON.parse(body.slice(1)).sid, cursor: "" };
  },
  poll: enginePoll,
  read({ body }) {
    // The reply to a pong. The poll was sent together with it.
    if (body === "ok") return { texts: [], next: () => "" };
    const packets = body.split("\x1e");
    const texts = packets.filter((packet) => packet.startsWith("4")).map((packet) => packet.slice(1));
    const pong = (client) => engineSend(client.ticket, "3") + enginePoll(client);
    return { texts, ...(packets.includes("2") && { next: pong }) };
  },
  post: (sid, text) => engineSend(sid, `4${text}`),
};

const NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so";
const NCHAN_PORT = 18_099;
/** Nginx with nchan: one process, one channel in memory. The cursor is the pair of headers that a cache would use. */
const nchan = {
  name: "nchan",
  missing: () => !existsSync(NCHAN) && "apt-get install nginx-light libnginx-mod-nchan",
  async start() {
    const folder = fileURLToPath(new URL("out/", import.meta.url));
    mkdirSync(folder, { recursive: true });
    const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const config = `load_module ${NCHAN}; daemon off; master_process off; worker_rlimit_nofile 20000; pid nginx.pid;
error_log stderr error;
events { worker_connections 16000; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; nchan_shared_memory_size 256M;
  ${kinds.map((kind) => `${kind}_temp_path ${kind};`).join(" ")}
  server {
    listen 127.0.0.1:${NCHAN_PORT} backlog=4096;
    location = /pub { nchan_publisher; nchan_channel_id chat; nchan_message_buffer_length 10000; nchan_message_timeout 1h; }
    location = /sub { nchan_subscriber longpoll; nchan_channel_id chat; nchan_longpoll_multipart_response raw; }
  }
}`;
    writeFileSync(`${folder}nginx.conf`, config);
    return Server.startAt(NCHAN_PORT, `nginx -p ${folder} -c nginx.conf`);
  },
  enter: async (_, n) => ({ ticket: `${n}`, cursor: "" }),
  poll: ({ cursor }) => get("/sub", cursor),
  read({ head, body }) {
    const [, modified] = /last-modified: *([^\r]+)/i.exec(head);
    const [, tag] = /etag: *([^\r]+)/i.exec(head);
    // Each message was posted with a line feed.
    const texts = body.split("\n").filter(Boolean);
    return { cursor: `If-Modified-Since: ${modified}\r\nIf-None-Match: ${tag}\r\n`, texts };
  },
  post: (_, text) => post("/pub", "text/plain", `${text}\n`),
};

// Bare is the first, because the others are compared with it.
const CONTENDERS = [
  anonymous("bare"),
  ...Array.from(builds(), ([name, dist]) => holdline(name, dist)),
  anonymous("feed"),
  engineio,
  nchan,
];

/** Returns those that are wanted and installed, and bare. */
export function findContenders(only, withPeers, report) {
  const wanted = CONTENDERS.filter(({ name }) => !only || name === "bare" || only.includes(name));
  const servers = new URL("servers/", import.meta.url);
  const isMissing = ({ npm }) => npm && !existsSync(new URL(`node_modules/${npm}`, servers));
  if (withPeers && wanted.some(isMissing))
    execFileSync("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund"], {
      cwd: fileURLToPath(servers),
      stdio: ["ignore", 2, 2],
    });
  return wanted.filter((contender) => {
    const remedy = isMissing(contender) ? "make bench PEERS=1" : contender.missing?.();
    if (remedy) report(`without ${contender.name}, which is not installed: ${remedy}`);
    return !remedy;
  });
}
