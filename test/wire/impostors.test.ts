/** Every route without a cookie, with another user's cookie, and with forged cookies. */
import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Running, startChat } from "./chat.js";
import { ask, FORM, Person, type Reply, texts } from "./person.js";
import { sign } from "./sign.js";

/** Every route that acts for a user. */
const ROUTES: [method: string, path: string, body?: string][] = [
  ["POST", "put_post/ann", "message=forged"],
  ["GET", "get_post/ann?since=0&wait=0"],
  ["HEAD", "get_post/ann?since=0&wait=0"],
  ["GET", "get_post/ann"],
  ["POST", "get_post/ann", "since=0&wait=0"],
  ["POST", "leave/ann"],
];

function call(url: string, [method, path, body]: (typeof ROUTES)[number], cookie: string): Promise<Reply> {
  const headers = { ...(body && FORM), ...(cookie && { Cookie: cookie }) };
  return ask(`${url}/${path}`, { method, headers, ...(body && { body }) });
}

/** Returns the status and code of a reply. A HEAD has no code. */
async function outcome(url: string, route: (typeof ROUTES)[number], cookie: string): Promise<string> {
  const { status, body } = await call(url, route, cookie);
  const { error } = body.startsWith("{") ? (JSON.parse(body) as { error?: { code: string } }) : {};
  return error ? `${status} ${error.code}` : `${status}`;
}

describe("no caller reads or posts as another user", () => {
  let running: Running;
  let url: string;
  let ann: Person;
  beforeEach(async () => {
    running = await startChat({ secrets: ["new", "old"] });
    ({ url } = running);
    ann = await Person.login(url, "ann");
    await ann.post("ann's own");
  });
  afterEach(async () => {
    await running.close();
    expect(running.log).toEqual([]);
  });

  function untouched(): Promise<void> {
    return ann.batch("since=0&wait=0").then((batch) => expect(texts(batch)).toEqual(["ann's own"]));
  }

  test("without a cookie", async () => {
    for (const route of ROUTES) {
      expect(await outcome(url, route, "")).toBe(route[0] === "HEAD" ? "401" : "401 no_session");
    }
    await untouched();
  });

  test("with the cookie of another user, also one with a lookalike name", async () => {
    for (const name of ["eve", "аnn", "ann2", "an n"]) {
      const eve = await Person.login(url, name);
      for (const route of ROUTES) {
        expect(await outcome(url, route, eve.cookie)).toBe(route[0] === "HEAD" ? "403" : "403 not_you");
      }
    }
    await untouched();
  });

  test("with a forged cookie", async () => {
    const eve = await Person.login(url, "eve");
    const [annPayload = "", annMac = ""] = ann.cookie.slice("holdline=".length).split(".");
    const [evePayload = "", eveMac = ""] = eve.cookie.slice("holdline=".length).split(".");
    const text = Buffer.from(annPayload, "base64url").toString();
    const encode = (value: string) => Buffer.from(value).toString("base64url");
    const forged = [
      `${annPayload}.${eveMac}`,
      `${evePayload}.${annMac}`,
      `${encode(Buffer.from(evePayload, "base64url").toString().replace("eve", "ann"))}.${eveMac}`,
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
      `${annPayload}.${createHmac("sha1", "new").update(annPayload).digest("base64url")}`,
      `${annPayload}.${createHmac("sha256", "new").update(text).digest("base64url")}`,
      "undefined",
      "__proto__",
      "x".repeat(8000),
      `${"x".repeat(4000)}.${annMac}`,
    ];
    for (const value of forged) {
      for (const route of ROUTES) {
        const expected = route[0] === "HEAD" ? "401" : "401 no_session";
        expect([value, await outcome(url, route, `holdline=${value}`)]).toEqual([value, expected]);
      }
      const Cookie = `holdline=${value}`;
      expect((await ask(`${url}/`, { headers: { Cookie } })).headers.location).toBe("login");
      expect((await ask(`${url}/chatroom/ann/`, { headers: { Cookie } })).headers.location).toBe(
        "../../login",
      );
      // It ends no session.
      await ask(`${url}/logout`, { method: "POST", headers: { Cookie } });
      expect(
        (await ask(`${url}/login`, { method: "POST", headers: { ...FORM, Cookie }, body: "name=ann" }))
          .status,
      ).toBe(409);
    }
    await untouched();
  });

  test("with a second cookie beside a valid one, because the first signed one counts", async () => {
    const eve = await Person.login(url, "eve");
    const read: (typeof ROUTES)[number] = ["GET", "get_post/ann?since=0&wait=0"];
    expect(await outcome(url, read, `${eve.cookie}; ${ann.cookie}`)).toBe("403 not_you");
    expect(await outcome(url, read, `holdline=x; ${ann.cookie}`)).toBe("200");
    expect(await outcome(url, read, `${ann.cookie}; ${eve.cookie}`)).toBe("200");
    expect(await outcome(url, read, `xholdline=1; Holdline=2; holdline2=3; a; =; ${ann.cookie}`)).toBe("200");
  });

  test("after two racing log-ins for one name: only the winner posts", async () => {
    const racers = await Promise.allSettled(Array.from({ length: 10 }, () => Person.login(url, "race")));
    const winners = racers.flatMap((racer) => (racer.status === "fulfilled" ? [racer.value] : []));
    expect(winners).toHaveLength(1);
    await winners[0]?.post("I won");
  });

  test("with the cookie of an earlier log-in under the same name", async () => {
    const first = await Person.login(url, "zoe");
    await first.ask("leave/zoe", { method: "POST" });
    const second = await Person.login(url, "ZOE");
    expect((await first.say("still me?")).status).toBe(401);
    await second.post("no");
    expect(texts(await second.batch("since=0&wait=0"))).toEqual(["ann's own", "no"]);
  });
});
