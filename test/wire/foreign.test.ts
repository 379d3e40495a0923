/** Cross-site requests behind proxies and under other hosts. Rules for every server are in the kit. */
import { expect, test } from "vitest";
import { roomPerTest } from "./chat.js";
import { code, HOST } from "./person.js";

const start = roomPerTest();

test.each<[string, Record<string, string>]>([
  ["another default port", { Origin: "https://a", Host: "a:80" }],
  ["the port of another scheme", { Origin: "http://a", Host: "a:443" }],
  ["a host that is none", { Origin: "http://a", Host: "a:b" }],
  ["its own host in a header that only a proxy may set", { Origin: "http://a", "X-Forwarded-Host": "a" }],
])("a post from %s is refused", async (_, headers) => {
  const { ann } = await start();
  expect(code(await ann.say("forged", headers))).toEqual([403, "foreign_origin"]);
});

test("a post from our own page behind a trusted proxy is accepted", async () => {
  const { ann } = await start({ trustProxy: true });
  for (const headers of [
    {},
    { Origin: `http://${HOST}` },
    { Origin: "https://chat.example", "X-Forwarded-Host": "chat.example" },
    { Origin: "https://chat.example", "X-Forwarded-Host": "evil.example, chat.example" },
    { Origin: "https://chat.example", "X-Forwarded-Host": "chat.example:443" },
    { Origin: "http://chat.example", "X-Forwarded-Host": "CHAT.example:80" },
    { Origin: "http://[::1]", "X-Forwarded-Host": "[::1]:80" },
  ])
    expect((await ann.say("mine", headers)).status).toBe(200);
  const evil = { Origin: "https://evil.example", "X-Forwarded-Host": "evil.example, chat" };
  expect(code(await ann.say("x", evil))).toEqual([403, "foreign_origin"]);
});
