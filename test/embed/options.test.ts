/** A wrong option is rejected by an error that names it. */
import { expect, test } from "vitest";
import { type ChatOptions, createChat } from "../../src/index.js";

const NO_RATE = ["5", null, -1, Number.NaN, Number.POSITIVE_INFINITY, true, [5], {}];
const NO_COUNT = [...NO_RATE, 0, 2000.5];
const NO_FLAG = [1, "true", null];
const NO_FUNCTION = [null, "x", {}];
const NO_OPTION = [5];
const WRONG: Record<string, unknown[]> = {
  ...{ backlog: NO_COUNT, maxWaiters: NO_COUNT, maxWaitersPerUser: NO_COUNT, maxNames: NO_COUNT },
  ...{ bodyLimit: NO_COUNT, grace: NO_COUNT, postRate: NO_RATE, loginRate: NO_RATE },
  ...{ metrics: NO_FLAG, trustProxy: NO_FLAG, identify: NO_FUNCTION, log: NO_FUNCTION },
  path: ["chat", "/", "/chat/", "//chat", "/a//b", "/a?b", "/a#b", "/a b", "/聊", null, 5],
  title: ["", " ", "x".repeat(101), 5, null],
  store: [null, {}, "redis://", { open: 1, append: 1, close: 1 }],
  secrets: [null, [], "secret", [""], [5], [new Uint8Array()]],
};
const UNKNOWN = { maxwaiters: NO_OPTION, port: NO_OPTION, constructor: NO_OPTION };

test.each(Object.entries({ ...WRONG, ...UNKNOWN }))(
  "a wrong %s is rejected by an error that names it",
  async (option, values) => {
    for (const value of values) {
      // A caller without TypeScript can pass anything.
      const error = await createChat({ [option]: value } as ChatOptions).catch((reason: unknown) => reason);
      expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
      expect(String(error)).toMatch(new RegExp(`\\b${option}\\b`));
      expect(String(error)).not.toContain('secret"');
    }
  },
);

test.each([null, 5, "x"])("createChat rejects %j instead of options", async (options) => {
  await expect(createChat(options as unknown as ChatOptions)).rejects.toThrow(/options/);
});

test("an option that is undefined has its default value", async () => {
  const chat = await createChat(Object.fromEntries(Object.keys(WRONG).map((name) => [name, undefined])));
  await chat.close();
});
