/** Two holdline processes that share one room in Redis, behind nginx with deploy/nginx.conf, which alternates between them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../wire/person.js";
import { type Server, startServer } from "../wire/server.js";
import { freePort } from "./port.js";

const SITE = new URL("../../deploy/nginx.conf", import.meta.url);

export interface Cluster {
  /** The URL of nginx. */
  readonly url: string;
  /** Returns the number of requests that each process has answered. */
  answered(): Promise<{ posts: number; polls: number }[]>;
  /** Stops all. Returns the exit statuses of the processes. */
  stop(): Promise<(number | string)[]>;
}

/** Starts two processes with this Redis URL, and nginx. */
export async function startCluster(redis: string): Promise<Cluster> {
  const servers = await Promise.all(
    [1, 2].map(() => startServer("--redis", redis, "--trust-proxy", "--metrics")),
  );
  const folder = await mkdtemp(join(tmpdir(), "holdline-cluster-"));
  const port = await freePort();
  await writeFile(join(folder, "nginx.conf"), await configuration(folder, port, servers));
  const nginx = spawn(
    process.env.NGINX ?? "/usr/sbin/nginx",
    ["-e", "stderr", "-c", join(folder, "nginx.conf")],
    {
      stdio: "ignore",
    },
  );
  const exited = once(nginx, "exit");
  const kill = () => nginx.kill("SIGKILL");
  process.once("exit", kill);
  const url = `http://127.0.0.1:${port}`;
  while (!(await isUp(url))) {
    if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}`);
    await sleep(20);
  }
  return {
    url,
    answered: () => Promise.all(servers.map(counts)),
    async stop() {
      nginx.kill("SIGTERM");
      await exited;
      process.off("exit", kill);
      await rm(folder, { recursive: true });
      return Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function configuration(folder: string, port: number, servers: readonly Server[]): Promise<string> {
  const site = (await readFile(SITE, "utf8"))
    .replace(/^ *server 127\.0\.0\.1:500(\d);\n/gm, (_, n) => {
      const server = servers[Number(n) - 1];
      return server ? `server 127.0.0.1:${server.port};\n` : "";
    })
    .replace("127.0.0.1:8080", `127.0.0.1:${port} backlog=4096`);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  return `user ${userInfo().username}; daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr crit;
    events { worker_connections 4096; }
    http { access_log off; ${paths.join(" ")} ${site} }`;
}

function isUp(url: string): Promise<boolean> {
  return ask(`${url}/healthz`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function counts({ url }: Server): Promise<{ posts: number; polls: number }> {
  const { body } = await ask(`${url}/metrics`);
  const sum = (what: string) =>
    [...body.matchAll(new RegExp(`^holdline_${what}_total\\{.*\\} (\\d+)$`, "gm"))].reduce(
      (all, [, count]) => all + Number(count),
      0,
    );
  return { posts: sum("posts"), polls: sum("polls") };
}
