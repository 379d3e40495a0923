/** What people may write. */
import { expect, test } from "vitest";
import { MESSAGE_LENGTH, parseText } from "../../src/chat/text.js";

const text = (raw: string) => {
  const parsed = parseText(raw);
  return "rule" in parsed ? undefined : parsed.text;
};

test("line ends become one kind, and those around the message go; blanks within stay", () => {
  expect(text("\r\n\r\none\r\ntwo\rthree\n\n four \n\r\n")).toBe("one\ntwo\nthree\n\n four ");
  expect(text("\tcode {\n\t}")).toBe("\tcode {\n\t}");
});

test("a message has at least one character besides line ends", () => {
  for (const raw of ["", "\n", "\r\n\r\r\n"]) expect(parseText(raw)).toEqual({ rule: expect.any(String) });
});

test("2,000 characters are code points, counted after line ends were trimmed", () => {
  expect(text("😀".repeat(MESSAGE_LENGTH))).toBeDefined();
  expect(text(`\n${"字".repeat(MESSAGE_LENGTH)}\r\n`)).toBeDefined();
  expect(text("a\r\n".repeat(MESSAGE_LENGTH / 2))).toBeDefined();
  for (const raw of ["x", "😀", "字"]) expect(text(raw.repeat(MESSAGE_LENGTH + 1)), raw).toBeUndefined();
});

test("control characters and halves of characters are refused; everything else is text", () => {
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

// A body may have 64 KiB. A pattern that goes back over every line end would take seconds for it; this many, minutes.
test("a great many line ends in a message cost no more than reading them", { timeout: 5_000 }, () => {
  expect(text("\r\n".repeat(100_000))).toBeUndefined();
  expect(text(`a${"\n".repeat(100_000)}b`)).toBeUndefined();
});
