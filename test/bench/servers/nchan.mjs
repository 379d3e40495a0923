// nginx with nchan: one worker, one channel, its messages in memory. Whoever is behind gets all newer ones in one reply.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

const folder = fileURLToPath(new URL("../out/nchan", import.meta.url));
mkdirSync(folder, { recursive: true });
const port = await freePort();
writeFileSync(
  join(folder, "nginx.conf"),
  `load_module ${MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events { worker_connections 16000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /pub { nchan_publisher; nchan_channel_id chat; nchan_message_buffer_length 10000; nchan_message_timeout 1h; }
    location = /sub { nchan_subscriber longpoll; nchan_channel_id chat; nchan_longpoll_multipart_response raw; }
  }
}
`,
);
const nginx = spawn("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: "inherit" });
nginx.once("exit", (code) => process.exit(code ?? 1));
while (!(await isListening())) await pause(20);
console.log(`http://127.0.0.1:${port}`);

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function isListening() {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
