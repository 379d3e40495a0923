/** Loaded into a started Node server: its wall clock is the true one plus what the file CONFORMANCE_CLOCK says, in seconds. */
import { readFileSync } from "node:fs";

const file = process.env.CONFORMANCE_CLOCK ?? "";
const { now } = Date;

function fake() {
  return now() + Number(readFileSync(file, "utf8")) * 1000;
}

Date.now = fake;
globalThis.Date = new Proxy(Date, {
  construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [fake()] : args, self),
  apply: () => new Date().toString(),
});
