/** Loaded into a started Node server. Adds the seconds in the file CONFORMANCE_CLOCK to its wall clock. */
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
