/** A wrong option is rejected by an error that names it. */
import { expect, test } from "vitest";
import { type ChatOptions, createChat } from "../../src/index.js";

const NUMBERS = ["backlog", "maxWaiters", "maxWaitersPerUser", "maxNames", "bodyLimit", "grace"];
const RATES = ["postRate", "loginRate"];
const wrong: [option: string, value: unknown][] = [
  ...[...NUMBERS, ...RATES].flatMap((option) =>
    ["5", null, -1, Number.NaN, Number.POSITIVE_INFINITY, true, [5], {}].map((value): [string, unknown] => [
      option,
      value,
    ]),
  ),
  ...NUMBERS.flatMap((option): [string, unknown][] => [
    [option, 0],
    [option, 2000.5],
  ]),
  ...["chat", "/", "/chat/", "//chat", "/a//b", "/a?b", "/a#b", "/a b", "/聊", null, 5].map(
    (value): [string, unknown] => ["path", value],
  ),
  ...["", " ", "x".repeat(101), 5, null].map((value): [string, unknown] => ["title", value]),
  ...["metrics", "trustProxy"].flatMap((option) =>
    [1, "true", null].map((value): [string, unknown] => [option, value]),
  ),
  ...["identify", "log"].flatMap((option) =>
    [null, "x", {}].map((value): [string, unknown] => [option, value]),
  ),
  ...[null, {}, "redis://", { open: 1, append: 1, close: 1 }].map((value): [string, unknown] => [
    "store",
    value,
  ]),
  ...[null, [], "secret", [""], [5], [new Uint8Array()]].map((value): [string, unknown] => [
    "secrets",
    value,
  ]),
  ["maxwaiters", 5],
  ["port", 5000],
  ["constructor", 1],
];

test.each(wrong)(
  "the option %s with the value %j is rejected by an error that names it",
  async (option, value) => {
    // A caller without TypeScript can pass anything.
    const error = await createChat({ [option]: value } as ChatOptions).catch((reason: unknown) => reason);
    expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
    expect(String(error)).toMatch(new RegExp(`\\b${option}\\b`));
    expect(String(error)).not.toContain('secret"');
  },
);

test.each([null, 5, "x"])("createChat rejects %j instead of options", async (options) => {
  await expect(createChat(options as unknown as ChatOptions)).rejects.toThrow(/options/);
});

test("an option that is undefined has its default value", async () => {
  const names = [
    ...NUMBERS,
    ...RATES,
    "path",
    "title",
    "identify",
    "metrics",
    "trustProxy",
    "store",
    "secrets",
    "log",
  ];
  const chat = await createChat(Object.fromEntries(names.map((name) => [name, undefined])));
  await chat.close();
});
