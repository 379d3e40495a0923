/** Who is compared. */
import { bare } from "./bare.js";
import type { Contender } from "./contender.js";
import { holdline } from "./holdline.js";

export const CONTENDERS: readonly Contender[] = [holdline, bare];
