/** Who is here on several processes, as one of them knows it. */
import { expect, test } from "vitest";
import { Crowd } from "../../src/room/crowd.js";
import { Presence } from "../../src/room/presence.js";
import type { Neighbours } from "../../src/store/neighbours.js";

const silent: Neighbours = {
  join: () => {},
  claim: async (owner) => owner,
  own: () => {},
  hold: () => {},
  arrived: () => {},
  left: () => {},
  told: async () => {},
};

test("who has left does not come back when we hear late what we told ourselves, but when another process tells", async () => {
  const presence = new Presence(30_000, () => {});
  const crowd = new Crowd(silent, presence);
  presence.hold({ user: "bob", person: undefined });
  crowd.arrived("bob", undefined);
  expect(crowd.names(10)).toEqual(["bob"]);
  presence.leave("bob");
  await crowd.leave("bob", undefined, "log-out");
  crowd.came("bob", true);
  expect(crowd.names(10)).toEqual([]);
  crowd.came("bob", false);
  expect(crowd.names(10)).toEqual(["bob"]);
  crowd.went("bob");
  expect([crowd.count, crowd.has("bob")]).toEqual([0, false]);
});

test("who is still here is here again when what we told is heard after others said that they went", () => {
  const presence = new Presence(30_000, () => {});
  const crowd = new Crowd(silent, presence);
  presence.touch("bob");
  crowd.arrived("bob", 30_000);
  crowd.went("bob");
  crowd.came("bob", true);
  expect(crowd.names(10)).toEqual(["bob"]);
  presence.stop();
});
