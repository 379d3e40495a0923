/** The example `examples/progress`, as somebody runs it who tries the feed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterEach, expect } from "vitest";
import { inRoom } from "./browser.js";

const SERVER = fileURLToPath(new URL("../../examples/progress/server.mjs", import.meta.url));

const test = inRoom();
let server: ChildProcess | undefined;

afterEach(stop);

async function start(port = "0"): Promise<string> {
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, PORT: port, STEP_MS: "20" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  server = child;
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return String(line).trim();
}

async function stop(): Promise<void> {
  if (!server) return;
  const closed = once(server, "close");
  server.kill();
  await closed;
  server = undefined;
}

/** Waits until the bar shows at least so much. */
const shows = (page: Page, progress: number) =>
  page.waitForFunction((progress) => (document.querySelector("progress")?.value ?? 0) >= progress, progress);

test("every page shows the progress of the job, whenever it was opened", async ({ page }) => {
  const url = await start();
  const open = async () => {
    const tab = await page.context().newPage();
    await tab.goto(url);
    return tab;
  };
  const first = await open();
  expect(await first.$eval("progress", (bar) => bar.value)).toBe(0);
  await first.click("button");
  await shows(first, 0.1);
  const second = await open();
  await shows(second, 0.1);
  await second.reload();
  for (const page of [first, second]) await shows(page, 1);
  const late = await open();
  await shows(late, 1);
});

test("a page goes on when the server is back after a restart", async ({ page }) => {
  const url = await start();
  await page.goto(url);
  await page.click("button");
  await shows(page, 0.1);
  await stop();
  await start(new URL(url).port);
  expect(await page.$eval("progress", (bar) => bar.value)).toBeLessThan(1);
  await page.click("button");
  await shows(page, 1);
});
