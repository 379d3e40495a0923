/** One poll for all tabs: random events in random order, in the world of tabs-world.ts. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { channelsOf, type Tab, World } from "./tabs-world.js";

let world: World;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function begin(): void {
  world = new World();
  vi.stubGlobal("BroadcastChannel", channelsOf(world));
}
const settle = () => vi.advanceTimersByTimeAsync(0);

type Step =
  | { readonly do: "say" | "open" | "settle" }
  | { readonly do: "close" | "ping" | "hide" | "show" | "deaf" | "rest"; readonly tab: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Step>({ do: "say" }, { do: "settle" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "open" }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "close" as const,
        "ping" as const,
        "hide" as const,
        "show" as const,
        "deaf" as const,
        "rest" as const,
      ),
      tab: fc.nat(),
    }),
  },
);

test("after any events, every open tab has received every message once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      begin();
      const since = new Map<Tab, number>();
      const add = () => {
        since.set(world.open(), world.messages.length);
      };
      add();
      for (const one of steps) {
        const open = [...since.keys()];
        const tab = "tab" in one ? open[one.tab % open.length] : undefined;
        if (one.do === "say") world.say(`${world.messages.length}`);
        else if (one.do === "open") add();
        else if (one.do === "settle") await settle();
        else if (tab) {
          if (one.do === "ping") tab.poll.ping();
          else if (one.do === "hide" || one.do === "show") tab.visible = one.do === "show";
          else if (one.do === "rest") {
            tab.poll.stop();
            tab.poll.start();
          } else if (one.do === "deaf") {
            const [channel] = [...world.channels].slice(one.tab % world.channels.size);
            if (channel) channel.deaf = !channel.deaf;
          } else if (since.size > 1) {
            tab.poll.stop();
            since.delete(tab);
          }
        }
      }
      for (const channel of world.channels) channel.deaf = false;
      // When all tabs receive again, one more message brings each tab up to date.
      await vi.advanceTimersByTimeAsync(5000);
      world.say("the last word");
      await vi.advanceTimersByTimeAsync(5000);
      const all = world.messages.map(({ text }) => text);
      for (const [tab, from] of since) expect(tab.texts).toEqual(all.slice(from));
      expect(world.waiting).toBe(1);
      for (const tab of since.keys()) tab.poll.stop();
      await settle();
    }),
    { numRuns: 200 },
  );
});
