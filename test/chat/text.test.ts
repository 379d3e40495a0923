/** The rules for messages. */
import { expect, test } from "vitest";
import { MESSAGE_LENGTH, parseText } from "../../src/chat/text.js";

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

test("a message of line ends only is rejected", () => {
  for (const raw of ["", "\n", "\r\n\r\r\n"]) expect(text(raw)).toBeUndefined();
});

test("the length of a message is counted in code points after trimming", () => {
  expect(text("😀".repeat(MESSAGE_LENGTH))).toBeDefined();
  expect(text(`\n${"字".repeat(MESSAGE_LENGTH)}\r\n`)).toBeDefined();
  expect(text("a\r\n".repeat(MESSAGE_LENGTH / 2))).toBeDefined();
  for (const raw of ["x", "😀", "字"]) expect(text(raw.repeat(MESSAGE_LENGTH + 1)), raw).toBeUndefined();
});

test("a message with a control character or a lone surrogate is rejected, and any other text is accepted", () => {
  for (const bad of ["\0", "\x1b[31m", "\b", "\x7f", "\x85", "\x9b", "\ud83d", "\ude00", "\ude00\ud83d"]) {
    expect(text(`a${bad}b`), JSON.stringify(bad)).toBeUndefined();
  }
  for (const good of [
    "__proto__",
    "<script>",
    "{{user}}",
    "مرحبا",
    "👩‍👩‍👧",
    "a\u202eb",
    "\u2028",
    "é",
    "\ue000",
  ]) {
    expect(text(good), JSON.stringify(good)).toBe(good);
  }
});

// A pattern with backtracking takes seconds for a body of 64 KiB, and minutes for this text.
test("a message of 100,000 line ends is parsed in linear time", { timeout: 5_000 }, () => {
  expect(text("\r\n".repeat(100_000))).toBeUndefined();
  expect(text(`a${"\n".repeat(100_000)}b`)).toBeUndefined();
});
