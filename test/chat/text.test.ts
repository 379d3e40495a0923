/** Messages: line ends, and the time of a long text. The other rules are in the kit. */
import { expect, test } from "vitest";
import { parseText } from "../../src/chat/text.js";

const text = (raw: string) => {
  try {
    return parseText(raw, Error);
  } catch {
    return undefined;
  }
};

test("line ends become \\n, those around the message are removed, and white space inside stays", () => {
  expect(text("\r\n\r\none\r\ntwo\rthree\n\n four \n\r\n")).toBe("one\ntwo\nthree\n\n four ");
  expect(text("\tcode {\n\t}")).toBe("\tcode {\n\t}");
});

// A pattern with backtracking takes seconds for a body of 64 KiB, and minutes for this text.
test("a message of 100,000 line ends is parsed in linear time", { timeout: 5_000 }, () => {
  expect(text("\r\n".repeat(100_000))).toBeUndefined();
  expect(text(`a${"\n".repeat(100_000)}b`)).toBeUndefined();
});
