/** What a caller would like to get. */
import { expect, test } from "vitest";
import { parseAccept, quality } from "../../src/http/accept.js";

test("parseAccept are read in their order, with how much they are wanted", () => {
  expect(parseAccept("text/html, */*;q=0.8")).toEqual([
    { value: "text/html", q: 1 },
    { value: "*/*", q: 0.8 },
  ]);
  expect(quality("text/html;q=0.5, */*", "text/html")).toBe(0.5);
});

test("a header is read for its first 1,000 characters", () => {
  expect(parseAccept("a,".repeat(8_000)).length).toBeLessThanOrEqual(501);
  expect(quality(`${"a/b,".repeat(100)}text/html`, "text/html")).toBe(1);
  expect(quality(`${"a/b,".repeat(300)}text/html`, "text/html")).toBe(0);
});
