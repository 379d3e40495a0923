/** A holdline process of its own, on a free port, for tests over real sockets. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
const PROGRAM = fileURLToPath(new URL("../../dist/server.js", import.meta.url));
/** Runs the program with these flags until it ends. */
export function run(...flags) {
    const child = spawn(process.execPath, [PROGRAM, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
    const out = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text) => {
        out.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
        out.stderr += text;
    });
    // A test that fails before it stops its server must not leave it behind.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("close", () => process.off("exit", kill));
    const exited = once(child, "close").then(([code, signal]) => (code ?? signal));
    return { child, exited, out };
}
const DEFAULTS = { "--port": "0", "--data": "none", "--post-rate": "0", "--login-rate": "0" };
/** Starts a server on a free port, in memory, without rates, unless the flags say otherwise. Stop it in the end. */
export async function startServer(...flags) {
    const defaults = Object.entries(DEFAULTS).filter(([flag]) => !flags.includes(flag));
    const { child, exited, out } = run(...defaults.flat(), ...flags);
    const url = await new Promise((resolve, reject) => {
        child.stdout?.on("data", () => {
            const line = /^holdline is listening on (http:\S+)\n/.exec(out.stdout);
            if (line?.[1])
                resolve(line[1]);
        });
        void exited.then((status) => reject(new Error(`the server ended with ${status}: ${out.stderr}`)));
    });
    return {
        url,
        port: Number(new URL(url).port),
        pid: child.pid ?? 0,
        stdout: () => out.stdout,
        stderr: () => out.stderr,
        exited,
        closeOutput() {
            child.stdout?.destroy();
            child.stderr?.destroy();
        },
        stop(signal = "SIGTERM") {
            child.kill(signal);
            return exited;
        },
    };
}
