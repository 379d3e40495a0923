/** Answers: what each ending sends, and when what was made once is too old. */
import { expect, test } from "vitest";
import { Answers } from "../../src/room/answers.js";
import { Backlog } from "../../src/room/backlog.js";
import type { Id } from "../../src/store/id.js";
import type { Message } from "../../src/store/store.js";

const say = (id: Id, text = `text of ${id}`): Message => ({ id, user: "ann", text, at: 1 });

function answering(limit = 10, ...messages: Message[]) {
  const backlog = new Backlog(limit, { floor: "1000-0", messages });
  const people = { present: 2 };
  const answers = new Answers(backlog, () => people.present);
  const say = (message: Message) => {
    backlog.push(message);
    answers.forget();
  };
  return { answers, people, say };
}

test("news is the messages after the cursor, the cursor of the last, and how many are here", () => {
  const { answers } = answering(10, say("1001-0"), say("1002-0"));
  expect(answers.to("1001-0", "message").batch).toEqual({
    cursor: "1002-0",
    present: 2,
    messages: [say("1002-0")],
  });
});

test("the end of a wait is the same without messages", () => {
  const { answers } = answering(10, say("1001-0"));
  expect(answers.to("1001-0", "time-out").batch).toEqual({ cursor: "1001-0", present: 2, messages: [] });
});

test("a wait that ends when there is news brings the news", () => {
  const { answers } = answering(10, say("1001-0"));
  expect(answers.to("1000-0", "time-out").batch.messages).toHaveLength(1);
  expect(answers.to("1000-0", "left").batch.messages).toHaveLength(1);
});

test("a gap is told, with what is still kept", () => {
  const { answers } = answering(1, say("1001-0"), say("1002-0"));
  expect(answers.to("1000-0", "message").batch).toMatchObject({ gap: true, messages: [{ id: "1002-0" }] });
  expect(answers.to("0", "message").batch).not.toHaveProperty("gap");
});

test("the superseded and the drained get nothing, and their cursor stays where it was", () => {
  const { answers } = answering(10, say("1001-0"), say("1002-0"));
  expect(answers.to("1001-0", "superseded").batch).toEqual({
    cursor: "1001-0",
    present: 2,
    messages: [],
    superseded: true,
  });
  for (let n = 0; n < 100; n++) {
    const { cursor, messages, retry } = answers.to("1001-0", "drained").batch;
    expect([cursor, messages]).toEqual(["1001-0", []]);
    expect(retry).toSatisfy((ms: number) => Number.isInteger(ms) && ms >= 0 && ms <= 2000);
  }
});

test("who had asked for everything and was sent away still gets everything next", () => {
  const { answers } = answering(10, say("1001-0"));
  for (const ending of ["superseded", "drained"] as const) {
    const { cursor } = answers.to("0", ending).batch;
    expect(answers.to(cursor, "message").batch.messages).toEqual([say("1001-0")]);
  }
});

test("the JSON says what the batch says, for every ending and whatever was written", () => {
  const nasty = say("1002-0", '"\\ </script> \u2028 \ud800 😀');
  const { answers } = answering(1, say("1001-0"), nasty);
  for (const cursor of ["0", "1000-0", "1001-0", "1002-0", "9999-0"] as const) {
    for (const ending of ["message", "time-out", "left", "superseded", "drained"] as const) {
      const { batch, json, bytes } = answers.to(cursor, ending);
      expect(JSON.parse(`${json}`)).toEqual(batch);
      expect(bytes).toBe(Buffer.byteLength(json));
    }
  }
});

test("all who stand at the same place get one answer, made once", () => {
  const { answers } = answering(10, say("1001-0"));
  expect(answers.to("1000-0", "message")).toBe(answers.to("1000-0", "message"));
});

test("an answer is made anew for a new message and when somebody came or went", () => {
  const { answers, people, say: push } = answering(10, say("1001-0"));
  expect(answers.to("1000-0", "message").batch.messages).toHaveLength(1);
  push(say("1002-0"));
  expect(answers.to("1000-0", "message").batch.messages).toHaveLength(2);
  people.present = 3;
  expect(answers.to("1000-0", "message").batch.present).toBe(3);
  expect(JSON.parse(`${answers.to("1000-0", "message").json}`)).toHaveProperty("present", 3);
});

test("a stranger who invents thousands of cursors changes nobody's answer", () => {
  const { answers } = answering(10, say("1001-0"), say("1002-0"));
  for (let n = 0; n < 5000; n++) answers.to(`${n}-${n}`, "time-out");
  expect(answers.to("1001-0", "message").batch.messages).toEqual([say("1002-0")]);
});
