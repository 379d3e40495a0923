/** `make cluster` with real browsers: two people talk through nginx while a process is killed; Ctrl-C ends all. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect } from "vitest";
import { inRoom, join, leave, say, shows, texts } from "./browser.js";

const PROGRAM = fileURLToPath(new URL("../../deploy/cluster.mjs", import.meta.url));

const test = inRoom();
let cluster: ChildProcess;
let printed = "";
beforeAll(async () => {
  cluster = spawn(process.execPath, [PROGRAM], { stdio: ["ignore", "pipe", "pipe"] });
  for (const output of [cluster.stdout, cluster.stderr]) {
    output?.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  }
  while (!/^open /m.test(printed)) await once(cluster.stdout ?? cluster, "data");
});
afterAll(() => cluster.kill("SIGTERM"));

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("two people go on talking while a process is killed, and nobody leaves", async ({ browser }) => {
  const url = /^open (\S+)/m.exec(printed)?.[1] ?? "";
  const pids = [...printed.matchAll(/^process (\d+) /gm)].map(([, pid]) => Number(pid));
  expect(pids).toHaveLength(3);
  const [ann, bob] = [await join(browser, url, "Ann"), await join(browser, url, "Bob")];
  const expected: string[] = [];
  const talk = async () => {
    for (const page of [ann, bob]) {
      const text = `${expected.length}`;
      expected.push(text);
      await say(page, text);
      await Promise.all([shows(ann, text), shows(bob, text)]);
    }
  };
  for (let n = 0; n < 5; n++) await talk();
  const [victim = 0] = pids;
  process.kill(victim, "SIGKILL");
  for (let n = 0; n < 5; n++) await talk();
  expect(await texts(ann)).toEqual(expected);
  expect(await texts(bob)).toEqual(expected);
  for (const page of [ann, bob]) {
    expect(await page.textContent("#people")).toContain("2");
    expect(
      await page.$$eval("#messages > li.notice", (all) => all.map(({ textContent }) => textContent)),
    ).not.toEqual(expect.arrayContaining([expect.stringContaining("left")]));
  }
  await Promise.all([ann, bob].map(leave));
  cluster.kill("SIGINT");
  expect(await once(cluster, "exit")).toEqual([0, null]);
  expect(pids.filter(isAlive)).toEqual([]);
});
