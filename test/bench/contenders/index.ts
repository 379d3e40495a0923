/** Who is compared. */
import { bare } from "./bare.js";
import type { Contender } from "./contender.js";
import { engineio } from "./engineio.js";
import { faye } from "./faye.js";
import { holdline } from "./holdline.js";
import { nchan } from "./nchan.js";
import { tornado, tutorial } from "./python.js";

export const CONTENDERS: readonly Contender[] = [holdline, bare, engineio, faye, nchan, tornado, tutorial];
