/** Programs that come with the chat, with real browsers: `make cluster`, and the example `examples/progress`. */
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { launch, printed } from "../wire/server.js";
import { inRoom, join, leave, say, shows, texts } from "./browser.js";

const CLUSTER = fileURLToPath(new URL("../../deploy/cluster.mjs", import.meta.url));
const PROGRESS = fileURLToPath(new URL("../../examples/progress/server.mjs", import.meta.url));

const test = inRoom();

test("two people go on talking while a process is killed, and nobody leaves", async ({ browser }) => {
  const cluster = launch(process.execPath, [CLUSTER]);
  onTestFinished(() => void cluster.child.kill("SIGTERM"));
  const url = await printed(cluster, /^open (\S+)/m);
  const pids = [...cluster.out.stdout.matchAll(/^process (\d+) /gm)].map(([, pid]) => Number(pid));
  expect(pids).toHaveLength(3);
  const pages = [await join(browser, url, "Ann"), await join(browser, url, "Bob")];
  const expected: string[] = [];
  for (let n = 0; n < 10; n++) {
    if (n === 5) process.kill(pids[0] ?? 0, "SIGKILL");
    for (const page of pages) {
      const text = `${expected.length}`;
      expected.push(text);
      await say(page, text);
      await Promise.all(pages.map((page) => shows(page, text)));
    }
  }
  for (const page of pages) {
    expect(await texts(page)).toEqual(expected);
    expect(await page.textContent("#people")).toContain("2");
    expect((await page.locator("#messages > li.notice").allTextContents()).join()).not.toContain("left");
  }
  await Promise.all(pages.map(leave));
  cluster.child.kill("SIGINT");
  expect(await cluster.exited).toBe(0);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

/** Waits until the bar shows at least so much. */
const showsProgress = (page: Page, progress: number) =>
  page.waitForFunction((progress) => (document.querySelector("progress")?.value ?? 0) >= progress, progress);

test("every page shows the progress of the job, whenever it was opened", async ({ page }) => {
  const server = launch(process.execPath, [PROGRESS], { env: { ...process.env, PORT: "0", STEP_MS: "20" } });
  onTestFinished(() => void server.child.kill());
  const url = await printed(server, /http:\S+/);
  const open = async () => {
    const tab = await page.context().newPage();
    await tab.goto(url);
    return tab;
  };
  const first = await open();
  expect(await first.$eval("progress", (bar) => bar.value)).toBe(0);
  await first.click("button");
  await showsProgress(first, 0.1);
  const second = await open();
  await showsProgress(second, 0.1);
  await second.reload();
  for (const page of [first, second]) await showsProgress(page, 1);
  await showsProgress(await open(), 1);
});
