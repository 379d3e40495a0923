/** All cases, in the order of the report. */
import type { Case } from "../runner.js";
import { cursors } from "./cursors.js";
import { delivery } from "./delivery.js";
import { errors } from "./errors.js";
import { http } from "./http.js";
import { messages } from "./messages.js";
import { names } from "./names.js";
import { plain } from "./plain.js";
import { polls } from "./polls.js";
import { presence } from "./presence.js";
import { restarts } from "./restart.js";
import { sessions } from "./sessions.js";

export const CASES: readonly Case[] = [
  ...delivery,
  ...polls,
  ...cursors,
  ...plain,
  ...messages,
  ...sessions,
  ...names,
  ...presence,
  ...errors,
  ...http,
  ...restarts,
];
