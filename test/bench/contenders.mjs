/**
 * The servers. A contender has `start(flags)`, which returns a Server; `enter(connection, n)`, which logs the nth client in;
 * `poll(client)`, `post(ticket, text)` and perhaps `page(ticket)`, which return requests; and `read(reply)`, which returns
 * the cursor and the texts. `maxClients` bounds the scenarios, and `missing()` says what to install.
 */
import { execFileSync, spawnSync } from "node:child_process";
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
const EVERY_HEADER = `Host: bench\r\n${process.env.HEADERS === "browser" ? BROWSER_HEADERS : ""}`;

const get = (path, headers = "") => `GET ${path} HTTP/1.1\r\n${EVERY_HEADER}${headers}\r\n`;
const post = (path, type, body, headers = "") =>
  `POST ${path} HTTP/1.1\r\n${EVERY_HEADER}${headers}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const form = (path, field, value, headers) =>
  post(path, "application/x-www-form-urlencoded", `${field}=${encodeURIComponent(value)}`, headers);

/** Logs in with a form. The ticket is the name and the header with the cookie. */
async function login(connection, n) {
  const user = `user-${n}`;
  const { head } = await connection.exchange(form("/login", "name", user));
  return { user, cookie: `Cookie: ${/set-cookie: *([^;\r]+)/i.exec(head)[1]}\r\n` };
}

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
    const ticket = await login(connection, n);
    // The join notice is made here, so that it does not disturb the measurement.
    const { body } = await connection.exchange(
      get(`/get_post/${ticket.user}?since=now&wait=0`, ticket.cookie),
    );
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
const anonymous = (name, program) => ({
  name,
  isOurs: true,
  start: (flags) => startNode(program, ...flags),
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
  start: () => startNode("servers/engineio.mjs"),
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

const fayeSend = (...messages) => post("/faye", "application/json", JSON.stringify(messages));
/** The Bayeux protocol: JSON messages on channels, several in a request or reply. */
const faye = {
  name: "faye",
  npm: "faye",
  start: () => startNode("servers/faye.mjs"),
  async enter(connection) {
    const types = { version: "1.0", supportedConnectionTypes: ["long-polling"] };
    const { body } = await connection.exchange(fayeSend({ channel: "/meta/handshake", ...types }));
    const [{ clientId }] = JSON.parse(body);
    await connection.exchange(fayeSend({ channel: "/meta/subscribe", clientId, subscription: "/chat" }));
    return { ticket: clientId, cursor: "" };
  },
  poll: ({ ticket: clientId }) =>
    fayeSend({ channel: "/meta/connect", clientId, connectionType: "long-polling", id: "1" }),
  read({ body }) {
    const messages = JSON.parse(body);
    if (messages.some(({ successful }) => successful === false)) throw new Error(body);
    return { texts: messages.filter(({ channel }) => channel === "/chat").map(({ data }) => data) };
  },
  post: (clientId, data) => fayeSend({ channel: "/chat", clientId, data }),
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
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${name};`,
    );
    writeFileSync(
      `${folder}nginx.conf`,
      `load_module ${NCHAN};
daemon off;
master_process off;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events { worker_connections 16000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  ${temporary.join(" ")}
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${NCHAN_PORT} backlog=4096;
    location = /pub { nchan_publisher; nchan_channel_id chat; nchan_message_buffer_length 10000; nchan_message_timeout 1h; }
    location = /sub { nchan_subscriber longpoll; nchan_channel_id chat; nchan_longpoll_multipart_response raw; }
  }
}
`,
    );
    // The address is printed when nginx listens.
    const isListening = `(: >/dev/tcp/127.0.0.1/${NCHAN_PORT}) 2>/dev/null`;
    const report = `(until ${isListening}; do sleep 0.1; done; echo http://127.0.0.1:${NCHAN_PORT}) &`;
    return Server.start("bash", ["-c", `${report} exec nginx -p ${folder} -c nginx.conf`]);
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

/** A server in Python. Debian's own interpreter is asked too, because only it has Debian's packages. */
const python = (name, modules, program) => {
  const imports = `import ${modules.join(", ")}`;
  const find = () =>
    ["python3", "/usr/bin/python3"].find((python) => spawnSync(python, ["-c", imports]).status === 0);
  return {
    name,
    missing: () => !find() && `apt-get install ${modules.map((module) => `python3-${module}`).join(" ")}`,
    start: () => Server.start(find(), [fileURLToPath(new URL(program, import.meta.url))]),
    maxClients: 1000,
    rates: [1, 2, 5, 10, 20, 50],
  };
};

/** Flask on gevent: a queue for each user, one message in each reply. */
const tutorial = {
  ...python("tutorial", ["flask", "gevent"], "servers/tutorial.py"),
  enter: async (connection, n) => ({ ticket: await login(connection, n), cursor: "" }),
  poll: ({ ticket: { user, cookie } }) => get(`/get_post/${user}`, cookie),
  read: ({ body }) => ({ texts: [JSON.parse(body)] }),
  post: ({ user, cookie }, text) => form(`/put_post/${user}`, "message", text, cookie),
};

/** The design of Tornado's chat demo, without log-ins. */
const tornado = {
  ...python("tornado", ["tornado"], "servers/tornado_chat.py"),
  enter: async (_, n) => ({ ticket: `${n}`, cursor: "" }),
  poll: ({ cursor }) => form("/a/message/updates", "cursor", cursor),
  read({ body }) {
    const { messages } = JSON.parse(body);
    return { cursor: messages.at(-1).id, texts: messages.map((message) => message.body) };
  },
  post: (_, text) => form("/a/message/new", "body", text),
};

// Bare is the first, because the others are compared with it.
const CONTENDERS = [
  anonymous("bare", "servers/bare.mjs"),
  ...Array.from(builds(), ([name, dist]) => holdline(name, dist)),
  anonymous("feed", "servers/feed.mjs"),
  engineio,
  faye,
  nchan,
  tornado,
  tutorial,
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
