/** The checks of a case. A failed check throws a `Fault` with what was sent, what was expected and what came. */
import { isDeepStrictEqual } from "node:util";
import { Fault, NotTried, show } from "./fault.js";
import { type Batch, isRecord } from "./person.js";
import type { Reply } from "./site.js";

export class Checks {
  /** Ends the case as not tried. */
  notTried(reason: string): never {
    throw new NotTried(reason);
  }

  /** Checks deep equality. */
  equal(sent: string, came: unknown, expected: unknown): void {
    if (!isDeepStrictEqual(came, expected)) throw new Fault(sent, show(expected), show(came));
  }

  /** Checks a condition, which `expected` describes. */
  expect(sent: string | Reply, expected: string, so: boolean, came?: unknown): void {
    if (so) return;
    const [request, what] = typeof sent === "string" ? [sent, came] : [sent.sent, came ?? summary(sent)];
    throw new Fault(request, expected, show(what));
  }

  status(reply: Reply, status: number): void {
    this.expect(reply, `${status}`, reply.status === status);
  }

  /** Checks that a reply is a page. */
  page(reply: Reply, status: number): void {
    const type = reply.headers["content-type"] ?? "";
    this.expect(reply, `${status} and a page`, reply.status === status && type.startsWith("text/html"));
  }

  /** Checks the time to the end of a reply, in milliseconds. `limit` allows for a busy machine. */
  took({ sent, took }: Reply, least: number, limit: number): void {
    const expected = least === 0 ? "an answer at once" : `an answer after ${least / 1000} s`;
    // Time-outs may be early by a tenth of a second, or half a second of ten.
    const so = took >= least - Math.max(100, least / 20) && took < limit;
    this.expect(sent, expected, so, `${Math.round(took)} ms`);
  }

  /** Checks whether a batch has a gap. */
  gap({ reply, gap = false }: Batch, expected: boolean): void {
    this.expect(reply, expected ? '"gap": true' : "no `gap`", gap === expected);
  }

  /** Checks an error reply: its status, its code and a message that is not empty. */
  refused(reply: Reply, status: number, code: string): void {
    let error: unknown;
    try {
      const value: unknown = JSON.parse(reply.body);
      error = isRecord(value) ? value.error : undefined;
    } catch {
      // The check below reports it.
    }
    const right =
      reply.status === status &&
      isRecord(error) &&
      error.code === code &&
      typeof error.message === "string" &&
      error.message !== "";
    this.expect(reply, `${status} {"error": {"code": "${code}", "message": …}}`, right);
  }
}

/** Returns a reply as one line, with the headers that the contract names. */
export function summary({ status, headers, body }: Reply): string {
  const told = [
    "location",
    "allow",
    "content-type",
    "cache-control",
    "retry-after",
    "connection",
    "set-cookie",
  ];
  const shown = told.flatMap((name) => (headers[name] === undefined ? [] : [` [${name}: ${headers[name]}]`]));
  return `${status}${shown.join("")}${body === "" ? "" : ` ${body}`}`;
}
