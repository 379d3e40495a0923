/** All cases, in the order of the report. */
import type { Case } from "../runner.js";
import { browsers } from "./browsers.js";
import { connections } from "./connections.js";
import { cursors } from "./cursors.js";
import { delivery } from "./delivery.js";
import { errors } from "./errors.js";
import { history } from "./history.js";
import { http } from "./http.js";
import { messages } from "./messages.js";
import { much } from "./much.js";
import { names } from "./names.js";
import { plain } from "./plain.js";
import { polls } from "./polls.js";
import { presence } from "./presence.js";
import { restarts } from "./restart.js";
import { sessions } from "./sessions.js";

export const CASES: readonly Case[] = [
  ...delivery,
  ...much,
  ...polls,
  ...cursors,
  ...plain,
  ...messages,
  ...history,
  ...sessions,
  ...browsers,
  ...names,
  ...presence,
  ...errors,
  ...http,
  ...connections,
  ...restarts,
];
