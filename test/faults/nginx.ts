/** A real nginx in front of a server, with its own configuration, folder and port. NGINX=/path/to/it, if it is not that of Debian. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { freePort } from "../conformance/port.js";
import { launch } from "../wire/server.js";

export interface Nginx {
  /** The URL, without a slash at the end. */
  readonly url: string;
  stop(): Promise<void>;
}

export const NGINX = process.env.NGINX ?? "/usr/sbin/nginx";

/** The directives that move the temporary files of nginx into a folder. */
export const temporaryPaths = (folder: string) =>
  ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join(" ");

/** With only this, nginx uses HTTP/1.0 to the server, and the `Host` of the server. */
export const DEFAULTS = "proxy_pass http://chat;";

/** The configuration of docs/deployment.md. */
export const KEEP_ALIVE = `
  proxy_pass http://chat;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Proto https;
  proxy_read_timeout 75s;`;

/** Starts nginx in front of the server at `port`, with these directives in its `location`. */
export async function startNginx(port: number, location: string): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-nginx-"));
  const own = await freePort();
  const config = `
    user ${userInfo().username}; daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr error;
    events { worker_connections 4096; }
    http {
      access_log off; ${temporaryPaths(folder)}
      upstream chat { server 127.0.0.1:${port} max_fails=0; keepalive 64; }
      server { listen 127.0.0.1:${own} backlog=4096; location / { ${location} } }
    }`;
  await writeFile(join(folder, "nginx.conf"), config);
  const { child, exited, out } = launch(NGINX, ["-e", "stderr", "-c", join(folder, "nginx.conf")]);
  while (!(await answers(own))) {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${out.stderr}`);
    await nextTurn();
  }
  return {
    url: `http://127.0.0.1:${own}`,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      await rm(folder, { recursive: true });
    },
  };
}

/** Returns whether a server listens on a port. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("connect", () => socket.destroy()).on("error", () => resolve(false));
  });
}
