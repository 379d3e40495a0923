/** A real Redis of our own, on a free port, in a folder of its own. REDIS=/path/to/redis-server if it is not Debian's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
/** Starts a Redis that has each write on the disk before it answers, unless the flags say otherwise. */
export async function startRedis(...flags) {
    const folder = mkdtempSync(join(tmpdir(), "holdline-redis-"));
    const port = await freePort();
    let child;
    const end = () => {
        child.kill("SIGKILL");
        rmSync(folder, { recursive: true, force: true });
    };
    const redis = {
        port,
        url: `redis://127.0.0.1:${port}`,
        pid: () => child.pid ?? 0,
        signal: (signal) => {
            child.kill(signal);
        },
        async kill() {
            child.kill("SIGKILL");
            if (child.exitCode === null && child.signalCode === null)
                await once(child, "exit");
        },
        async start() {
            child = spawn(process.env.REDIS ?? "redis-server", [
                ...["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
                ...["--appendonly", "yes", "--appendfsync", "always", ...flags],
            ], { stdio: "ignore" });
            while (!(await answers(port))) {
                if (child.exitCode !== null)
                    throw new Error(`redis-server ended with ${child.exitCode}`);
                await delay(20);
            }
        },
        async stop() {
            child.kill("SIGCONT");
            await redis.kill();
            process.off("exit", end);
            rmSync(folder, { recursive: true, force: true });
        },
    };
    await redis.start();
    // A test that fails before it stops its Redis must not leave it behind.
    process.once("exit", end);
    return redis;
}
export async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    server.close();
    if (address === null || typeof address === "string")
        throw new Error("no port");
    return address.port;
}
/** Whether Redis is there and has read what it has on the disk. */
function answers(port) {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => resolve(false));
        socket.on("data", (reply) => {
            socket.destroy();
            // A password that is asked for is an answer, too.
            resolve(/^(\+PONG|-NOAUTH)/.test(reply.toString()));
        });
        socket.write("PING\r\n");
    });
}
