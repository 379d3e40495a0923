/** The commands of the documents that install, start or measure something, from a fresh clone and from the packed file. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { freePort } from "./conformance/port.js";
import { blocks, runShell, shellBlocks } from "./documents.js";
import { answers, NGINX, temporaryPaths } from "./faults/nginx.js";
import { installPacked, type Packed, ROOT, runIn } from "./packed.js";
import { ask } from "./wire/person.js";
import { startRedis } from "./wire/redis.js";
import { launch, printed, type Run } from "./wire/server.js";

let folder: string;
let packed: Packed;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdline-commands-"));
  packed = await installPacked();
}, 120_000);
afterAll(async () => {
  await packed.remove();
  await rm(folder, { recursive: true });
});

/** Returns the code of the only block of a document that contains a text. */
function blockWith(document: string, part: string): string {
  const found = blocks.filter(({ place, code }) => place.startsWith(`${document}:`) && code.includes(part));
  expect(found).toHaveLength(1);
  return found[0]?.code ?? "";
}

/** Copies the files that a clone has into a new folder. */
async function clone(): Promise<string> {
  const target = await mkdtemp(join(folder, "clone-"));
  const list = "git ls-files --cached --others --exclude-standard -z";
  await runIn(ROOT, "bash", [
    "-c",
    `${list} | tar --null -T - --ignore-failed-read -cf - | tar -xf - -C '${target}'`,
  ]);
  return target;
}

/** Writes programs into a new folder. Returns a PATH on which they come first. */
async function pathWith(programs: Record<string, string>): Promise<string> {
  const bin = await mkdtemp(join(folder, "bin-"));
  for (const [name, lines] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${lines}\n`);
    await chmod(join(bin, name), 0o755);
  }
  return `${bin}:${process.env.PATH}`;
}

/** Ends commands, as Ctrl-C does. */
async function stop({ child, exited }: Run): Promise<void> {
  const isOver = child.exitCode !== null || child.signalCode !== null;
  if (child.pid !== undefined && !isOver) process.kill(-child.pid, "SIGINT");
  await exited;
}

/** Runs commands. Resolves when their output has a text, with its first group. They have no terminal to ask on. */
async function start(
  code: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  text: RegExp,
): Promise<[Run, string]> {
  const program = launch("bash", ["-euc", code], { cwd, env: { ...process.env, ...env }, detached: true });
  // A failed test must not leave its programs running.
  onTestFinished(() => stop(program));
  return [program, await printed(program, text)];
}

/** Programs that would install, need root, or run for minutes. Each writes its name and its arguments into a file. */
const STUBS = ["apt-get", "nginx", "node", "npm", "npx", "redis-server", "sudo", "systemctl"];
// npm ci makes the folder that make expects.
const RECORD = `echo "\${0##*/} $*" >> "$RECORD"
case "$1" in ci) mkdir -p node_modules test/node_modules ;; esac`;

test.each(shellBlocks(true))("the programs, files and flags in %s exist, in %s", async (_, shell, code) => {
  // zsh runs a comment as a command when it is pasted.
  expect(code).not.toMatch(/(^|\s)#/m);
  const at = await clone();
  const record = join(at, "record");
  const PATH = await pathWith(Object.fromEntries(STUBS.map((name) => [name, RECORD])));
  await runShell(shell, at, code, { env: { ...process.env, PATH, RECORD: record } });
  const commands = (await readFile(record, "utf8")).trim().split("\n");
  for (const command of commands) await checkCommand(command);
  // The variables that choose what is measured.
  const bench = ["bench", "contenders", "report", "scenarios"].map((name) => `test/bench/${name}.mjs`);
  const known = await Promise.all(bench.map((file) => readFile(join(ROOT, file), "utf8")));
  for (const [, name = ""] of code.matchAll(/\s([A-Z]+)=/g)) expect(known.join()).toMatch(`${name}`);
});

/** Fails if a recorded command has a script, a file or a flag that does not exist. */
async function checkCommand(command: string): Promise<void> {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const [, script] = /^npm run (?:--silent )?([\w-]+)/.exec(command) ?? [];
  if (script) expect(scripts).toHaveProperty(script);
  const [, name] = /^npm test .*-t (\w+)/.exec(command) ?? [];
  for (const [, file = ""] of command.matchAll(/\s((?:deploy|dist|examples|test)\/\S+)/g)) {
    await access(join(ROOT, file));
    if (name) expect(await readFile(join(ROOT, file), "utf8")).toMatch(new RegExp(`test.*"[^"]*${name}`));
  }
  for (const [, file = ""] of command.matchAll(/\s\/opt\/holdline\/(node_modules\/holdline\/\S+)/g))
    await access(join(packed.project, file));
  const [, flags] = /^(?:npx holdline|node .*dist\/server\.js) (.*)$/.exec(command) ?? [];
  if (flags) await runIn(ROOT, process.execPath, ["dist/server.js", ...flags.split(" "), "--help"]);
}

/** In a clone, `npm ci` links the packages that are installed here. Everything else is npm itself. */
const LINKING_NPM = `case "$1" in
  ci) mkdir node_modules && ln -s "$MODULES"/* "$MODULES"/.bin node_modules/ ;;
  *) PATH=\${PATH#*:} exec npm "$@" ;;
esac`;

test("make start, the example and make cluster run in a fresh clone", async () => {
  const at = await clone();
  const PATH = await pathWith({ npm: LINKING_NPM });
  const env = { PATH, MODULES: join(ROOT, "node_modules"), HOST: "", PORT: "0" };
  const starts = [
    [blockWith("README.md", "make start"), /listening on (http:\S+)\n/, "healthz"],
    [blockWith("docs/embedding.md", "examples/progress"), /(http:\S+)\/\n/, "events?since=0&wait=0"],
    [blockWith("docs/cluster.md", "make cluster"), /open (http:\S+) /, "healthz"],
  ] as const;
  for (const [code, address, path] of starts) {
    const [program, url] = await start(code, at, env, address);
    expect([code, (await ask(`${url}/${path}`)).status]).toEqual([code, 200]);
    await stop(program);
  }
});

test("npm install of the packed file brings npx holdline, which serves its pages and follows a Redis", async () => {
  const redis = await startRedis("--requirepass", "password");
  const project = await mkdtemp(join(folder, "project-"));
  const install = blockWith("README.md", "npm install").split("\n")[0] ?? "";
  await runIn(project, "bash", ["-c", install.replace("../holdline/holdline-0.1.0.tgz", packed.tarball)], {
    env: { ...process.env, npm_config_offline: "true" },
  });
  await symlink(join(ROOT, "node_modules/redis"), join(project, "node_modules/redis"));
  const command = /^npx .*$/m.exec(blockWith("docs/cluster.md", "npx holdline"))?.[0] ?? "";
  const code = command.replace("10.0.0.5:6379", `127.0.0.1:${redis.port}`).replace("5001", "0");
  const [server, url] = await start(code, project, {}, /listening on (http:\S+)\n.*kept in Redis at /);
  for (const path of ["login", "chat.css", "client/page.js", "healthz"])
    expect([path, (await ask(`${url}/${path}`)).status]).toEqual([path, 200]);
  await stop(server);
  await redis.stop();
});

test("the steps of docs/deployment.md give a closed room over TLS, and its backup can be restored", async () => {
  const root = await mkdtemp(join(folder, "root-"));
  for (const path of ["etc/nginx", "etc/systemd/system", "opt", "var/lib"])
    await mkdir(join(root, path), { recursive: true });
  const within = (code: string) => code.replaceAll(/ (\/(?:etc|opt|var)\/)/g, ` ${root}$1`);
  const conf = join(root, "etc/nginx/nginx.conf");
  const PATH = await pathWith({
    sudo: 'exec "$@"',
    systemctl: `echo "$*" >> "${root}/systemctl"`,
    nginx: `exec ${NGINX} -e stderr -c ${conf} "$@"`,
  });
  const env = { ...process.env, PATH, npm_config_offline: "true" };
  /** Runs the block of the document that has this part. */
  const run = (part: string) =>
    runShell("bash", packed.project, within(blockWith("docs/deployment.md", part)), { env });

  await run("sudo npm install");
  expect(await readFile(join(root, "systemctl"), "utf8")).toBe(
    "daemon-reload\nenable --now holdline\nstatus holdline\n",
  );
  const unit = await readFile(join(root, "etc/systemd/system/holdline.service"), "utf8");
  const copy = join(root, "holdline.service");
  await writeFile(copy, within(unit).replace("/usr/bin/node", process.execPath));
  // A machine without systemd has no such program.
  const verified = runIn(root, "systemd-analyze", ["verify", copy]).catch((error: Error) => error.message);
  expect(await verified).toMatch(/^$|ENOENT/);
  const command =
    /^ExecStart=(.*)$/m.exec(within(unit))?.[1]?.replace("/usr/bin/node", process.execPath) ?? "";
  const [port, tlsPort] = [await freePort(), await freePort()];
  const serve = () => start(`exec ${command} --port ${port}`, root, {}, /kept in .*\n/);
  let [server] = await serve();

  const password = within(blockWith("docs/deployment.md", "openssl passwd"));
  await runIn(root, "bash", ["-euc", `printf "tea\ntea\n" | {\n${password}}`], { env });
  const pair = "-newkey rsa:2048 -nodes -keyout privkey.pem -out fullchain.pem -subj /CN=chat.example";
  await runIn(root, "openssl", ["req", "-x509", ...pair.split(" ")]);
  const main = `user ${userInfo().username}; daemon off; pid ${root}/pid; error_log stderr crit; events {}`;
  const sites = blocks.filter(({ lang }) => lang === "nginx").map(({ code }) => code);
  // The site with a password is the last one, and runs.
  for (const code of [...sites, blockWith("docs/deployment.md", "auth_basic ")]) {
    const site = within(code)
      .replaceAll(/\S+\/(\w+\.pem)/g, `${root}/$1`)
      .replace("listen 80", `listen unix:${root}/socket`)
      .replace("listen 443", `listen 127.0.0.1:${tlsPort}`)
      .replace("127.0.0.1:5000", `127.0.0.1:${port}`);
    await writeFile(conf, `${main}\nhttp { access_log off; ${temporaryPaths(root)}\n${site} }`);
    await run("sudo nginx -t");
  }
  expect(await readFile(join(root, "systemctl"), "utf8")).toContain("reload nginx\n");
  const nginx = spawn(NGINX, ["-e", "stderr", "-c", conf], { stdio: "inherit" });
  while (!(await answers(tlsPort))) await nextTurn();
  const url = `https://127.0.0.1:${tlsPort}`;
  const curl = (...args: string[]) => runIn(root, "curl", ["-sk", ...args]);
  const withPassword = ["-u", "ann:tea", "-b", "jar", "-c", "jar"];
  expect(await curl("-o", "page", "-w", "%{http_code}", `${url}/login`)).toBe("401");
  const login = await curl(...withPassword, "-i", "-d", "name=ann", `${url}/login`);
  expect(login).toMatch(/^HTTP\/1\.1 303/);
  expect(login).toMatch(/^set-cookie: holdline\S*=.*; Secure/im);
  await curl(...withPassword, "-d", "message=hello", `${url}/put_post/ann`);

  await run("sudo tar");
  await stop(server);
  await rm(join(root, "var/lib/holdline"), { recursive: true });
  const backup = join(packed.project, "holdline-backup.tgz");
  const list = await runIn(root, "tar", ["-C", "var/lib", "-xvzf", backup]);
  expect(list).toMatch(/^holdline\/secret$/m);
  expect(list).not.toContain("lock-");
  [server] = await serve();
  expect(await curl(...withPassword, `${url}/get_post/ann?since=0&wait=0`)).toContain('"text":"hello"');
  await stop(server);
  nginx.kill();
  await once(nginx, "exit");
});
