/** Every route with forged cookies. Rules for every server are in the kit. */
import { createHmac } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { chatPerTest } from "./chat.js";
import { ask, login, Person, texts } from "./person.js";
import { sign } from "./sign.js";

const start = chatPerTest();
let url: string;
let ann: Person;
beforeEach(async () => {
  ({ url } = await start({ secrets: ["new", "old"] }));
  ann = await Person.login(url, "ann");
  await ann.post("ann's own");
});
afterEach(async () => {
  expect(texts(await ann.batch("since=0&wait=0"))).toEqual(["ann's own"]);
});

/** Calls every route that acts for Ann. Returns the different answers. */
async function outcomes(Cookie: string): Promise<string> {
  const eve = ann.at({ url });
  eve.cookie = Cookie;
  eve.jar.clear();
  const replies = [
    await eve.say("forged"),
    await eve.poll("since=0&wait=0"),
    await eve.poll("since=0&wait=0", { method: "HEAD" }),
    await eve.poll(""),
    await eve.send("get_post/ann", "since=0&wait=0"),
    await eve.leave(),
  ];
  const codes = replies.map(({ status, body }) => `${status} ${/"code":"(\w+)"/.exec(body)?.[1] ?? ""}`);
  return [...new Set(codes)].join();
}

test("a forged cookie is 401 everywhere, opens no page and ends no session", async () => {
  const eve = await Person.login(url, "eve");
  const parts = ({ cookie }: Person) => cookie.slice("holdline=".length).split(".") as [string, string];
  const [[annPayload, annMac], [evePayload, eveMac]] = [parts(ann), parts(eve)];
  const decode = (value: string) => Buffer.from(value, "base64url").toString();
  const text = decode(annPayload);
  const hmac = (how: string, over: string) => createHmac(how, "new").update(over).digest("base64url");
  for (const value of [
    `${annPayload}.${eveMac}`,
    `${evePayload}.${annMac}`,
    `${Buffer.from(decode(evePayload).replace("eve", "ann")).toString("base64url")}.${eveMac}`,
    `${annPayload}.`,
    `.${annMac}`,
    annPayload,
    `${annPayload}.${annMac.slice(0, -1)}`,
    `${annPayload.slice(0, -1)}.${annMac}`,
    `${annPayload}.${annMac.slice(0, 21)}`,
    `${annPayload}.${annMac}.${annMac}`,
    `"${annPayload}.${annMac}`,
    sign(text, "another secret"),
    sign(text, ""),
    `${annPayload}.${hmac("sha1", annPayload)}`,
    `${annPayload}.${hmac("sha256", text)}`,
    "undefined",
    "__proto__",
    "x".repeat(8000),
    `${"x".repeat(4000)}.${annMac}`,
  ]) {
    const Cookie = `holdline=${value}`;
    expect([value, await outcomes(Cookie)]).toEqual([value, "401 no_session,401 "]);
    for (const [path, location] of [
      ["", "login"],
      ["chatroom/ann/", "../../login"],
    ])
      expect((await ask(`${url}/${path}`, { headers: { Cookie } })).headers.location).toBe(location);
    await ask(`${url}/logout`, { method: "POST", headers: { Cookie } });
    expect((await login(url, "ann", { Cookie })).status).toBe(409);
  }
});

test("the first valid cookie of several counts, whatever is beside it", async () => {
  const { cookie: eve } = await Person.login(url, "eve");
  const bob = await Person.login(url, "bob");
  await bob.logout();
  for (const [Cookie, status] of [
    [`${eve}; ${ann.cookie}`, 403],
    [`${ann.cookie}; ${eve}`, 200],
    [`${bob.cookie}; ${ann.cookie}`, 200],
    [`holdline=x; holdline=${"a".repeat(5_000)}.b; holdline=c.d; ${ann.cookie}`, 200],
    [`xholdline=1; Holdline=2; holdline2=3; a; =; ${ann.cookie}`, 200],
  ] as const)
    expect((await ann.poll("since=0&wait=0", { headers: { Cookie } })).status).toBe(status);
});

test("ten racing log-ins for one name have one winner", async () => {
  const racers = await Promise.all(Array.from({ length: 10 }, () => login(url, "race")));
  expect(racers.map(({ status }) => status).sort()).toEqual([303, ...Array(9).fill(409)]);
});
