/** Whether what a contender needs is installed; if not, what to do about it. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SERVERS = new URL("../../servers/", import.meta.url);
/** Debian's own is asked too, since its packages are only there. */
const PYTHONS = ["python3", "/usr/bin/python3"];

/** A Python that has these modules. */
export function python(modules: readonly string[]): string | undefined {
  return PYTHONS.find((program) => {
    try {
      execFileSync(program, ["-c", `import ${modules.join(", ")}`], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

export function pythonMissing(...modules: readonly string[]): string | undefined {
  return python(modules)
    ? undefined
    : `apt-get install ${modules.map((name) => `python3-${name}`).join(" ")}`;
}

export function nchanMissing(): string | undefined {
  return existsSync("/usr/sbin/nginx") && existsSync("/usr/lib/nginx/modules/ngx_nchan_module.so")
    ? undefined
    : "apt-get install nginx-light libnginx-mod-nchan";
}

export function npmMissing(name: string): string | undefined {
  return existsSync(new URL(`node_modules/${name}/`, SERVERS)) ? undefined : "make bench PEERS=1";
}

/** Installs what npm has into the bench's own folder. */
export function npmInstall(): void {
  const flags = ["install", "--no-package-lock", "--no-audit", "--no-fund"];
  execFileSync("npm", flags, { cwd: fileURLToPath(SERVERS), stdio: ["ignore", 2, 2] });
}
