/** How the conversation looks: what depends on the engine. The rest is in page.test.ts. */
import { expect } from "vitest";
import { inRoom, say, shows } from "./browser.js";

const test = inRoom();

test("the conversation looks the same live and after a reload", async ({ ann, ben }) => {
  await ben.post("see https://example.com/a_(b)?c=1&d=2, ok?\n<b>not bold</b> & 'so' on");
  await ben.post("  spaces  and\n\nan empty line");
  await ben.post("first `a  b`:\n```\n  if (a)\n    b();\n```\nthen <b>`<b>`</b>");
  await say(ann, "مرحبا 你好 👩‍👩‍👧");
  await shows(ann, "مرحبا 你好 👩‍👩‍👧");
  await ben.post("the last");
  await shows(ann, "the last");
  const look = () =>
    ann.$$eval("#messages > li:not(.notice)", (items) =>
      items.map((li) => ({
        id: li.dataset.id,
        classes: li.className,
        name: li.querySelector(".user")?.outerHTML,
        time: li.querySelector("time")?.outerHTML,
        said: li.querySelector("p")?.innerHTML,
      })),
    );
  const live = await look();
  await ann.reload();
  expect(await look()).toEqual(live);
  expect(live.at(-2)?.classes).toBe("own");
});

test("code is monospaced and keeps its spaces, and a block of code has lines of its own", async ({
  ann,
  ben,
}) => {
  await ben.post("first `a  b`, then\n```\nif (a)\n  iiii\n  MMMM\n```\nthe end");
  await shows(ann, "first a  b, then\nif (a)\n  iiii\n  MMMM\nthe end");
  const codes = ann.locator("#messages > li:last-child code");
  expect(await codes.allTextContents()).toEqual(["a  b", "if (a)\n  iiii\n  MMMM"]);
  const widths = await codes.last().evaluate(({ firstChild }) =>
    [9, 16].map((start) => {
      const range = document.createRange();
      if (firstChild) range.setStart(firstChild, start);
      if (firstChild) range.setEnd(firstChild, start + 4);
      return Math.round(range.getBoundingClientRect().width);
    }),
  );
  expect(widths[0]).toBeGreaterThan(10);
  expect(widths[1]).toBe(widths[0]);
  // Text, a block of three lines, and text: nothing stands beside the block, and no empty line is around it.
  const p = ann.locator("#messages > li:last-child > p");
  const height = async (part: typeof p) => (await part.boundingBox())?.height ?? 0;
  const line = await p.evaluate((element) => Number.parseFloat(getComputedStyle(element).lineHeight));
  const around = (await height(p)) - (await height(codes.last()));
  expect(around).toBeLessThan(3.5 * line);
  expect(around).toBeGreaterThan(2 * line);
});

test("the messages are as wide as the header and the message box, although the scrollbar takes room", async ({
  ann,
}) => {
  // The scrollbar of Firefox is 12 px wide; playwright hides Chromium's.
  await ann.locator("#scroller").evaluate(({ style }) => {
    style.overflowY = "scroll";
  });
  await say(ann, "at the right edge");
  await shows(ann, "at the right edge");
  const right = (selector: string) => ann.$eval(selector, (box) => box.getBoundingClientRect().right);
  expect(await right("#messages .own > p")).toBeCloseTo(await right("#composer button"), 0);
});
