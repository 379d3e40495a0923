/** Files of lines for tests. */
import fc from "fast-check";
import { type Entry, encodeEntry, encodeHead } from "../../src/store/file/line.js";

export const FLOOR = "1718000000000-0";
export const HEAD = encodeHead(FLOOR);

export function entry(n: number, text = `message ${n}`): Entry {
  const at = 1718000000000 + n;
  return { message: { id: `${at}-0`, user: "ann", text, at }, key: n % 2 ? `key ${n}` : undefined };
}

/** A file of whole lines, and where each of its messages begins. */
export function fileOf(entries: readonly Entry[]): { bytes: Buffer; starts: number[] } {
  const starts: number[] = [];
  let at = HEAD.length;
  const lines = entries.map(encodeEntry);
  for (const line of lines) {
    starts.push(at);
    at += line.length;
  }
  return { bytes: Buffer.concat([HEAD, ...lines]), starts };
}

export const FIVE = [1, 2, 3, 4, 5].map((n) => entry(n));

// What is hard on a reader that knows lines by their marks.
export const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom('"', "{", "}", "\\", ",", '{"', ',"crc":"', "\n", "\ufffd", "\ud800", "界"),
  }),
);
export const anyEntries = fc
  .array(
    fc.record({
      user: anyText,
      text: anyText,
      key: fc.option(anyText, { nil: undefined }),
      kind: fc.constantFrom(undefined, "join" as const, "leave" as const),
    }),
    { maxLength: 12 },
  )
  .map((said) =>
    said.map(({ user, text, key, kind }, n): Entry => {
      const { id, at } = entry(n + 1).message;
      return { message: { id, user, text, at, ...(kind && { kind }) }, key };
    }),
  );
