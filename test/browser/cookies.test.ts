/** Logging in with a browser that blocks cookies. */
import { expect } from "vitest";
import { connected, enter, inRoom } from "./browser.js";
import { startProxy } from "./proxy.js";

const test = inRoom();

test("the log-in explains that cookies are blocked, and works once they are allowed", async ({
  page,
  server,
}) => {
  let isBlocked = true;
  // Without its cookies, the browser is as one that blocks them, on any engine.
  const proxy = await startProxy(server.url, (_req, reply, res, send) => {
    if (!isBlocked) return send();
    const { "set-cookie": _, ...others } = reply.headers;
    res.writeHead(reply.statusCode ?? 502, others);
    reply.pipe(res);
  });
  await page.goto(`${proxy.url}/login`);
  await page.fill("#name", "Ann");
  await page.press("#name", "Enter");
  await page.waitForSelector("#reason:not(:empty)");
  expect(await page.textContent("#reason")).toBe(
    "Your browser blocks cookies. Allow them for this site, then open this page again.",
  );
  expect(await page.inputValue("#name")).toBe("Ann");
  isBlocked = false;
  await enter(page, proxy.url, "Ann");
  await connected(page);
  expect(await page.textContent("summary")).toBe("1 here");
  await page.context().close();
  proxy.close();
});
