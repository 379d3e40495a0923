/** The host's log-in: the host says who is calling, at each request. There is no cookie, and names are not exclusive. */
import type { Request } from "../http/request.js";
import { HttpError } from "../http/response.js";
import type { Session } from "../store/cluster.js";
import type { Auth } from "./auth.js";
import type { Members } from "./members.js";
import type { Identified, Identify } from "./options.js";
import { parseName } from "./text.js";

export class HostAuth implements Auth {
  readonly noSession = new HttpError(401, "no_session", "Log in at this site first.");
  readonly loginPath = undefined;
  readonly #members: Members;
  readonly #identify: Identify;

  constructor(members: Members, identify: Identify) {
    this.#members = members;
    this.#identify = identify;
  }

  authenticate(request: Request): Session | undefined | Promise<Session | undefined> {
    const identified = this.#identify(request.req);
    if (typeof identified !== "object" || identified === null) return this.#sessionOf(identified, request);
    return Promise.resolve(identified).then((name) => this.#sessionOf(name, request));
  }

  renew(): Record<string, never> {
    return {};
  }

  #sessionOf(identified: Identified, { isHead }: Request): Session | undefined {
    if (identified === undefined || identified === null) return undefined;
    if (typeof identified !== "string") {
      throw new TypeError(
        `identify must return a name or undefined, not a value of type ${typeof identified}`,
      );
    }
    const name = parseName(identified);
    if ("rule" in name) throw new RangeError(`identify returned a name that is not allowed: ${name.rule}`);
    const session = { ...name, id: "", since: 0 };
    // This bounds how many names are remembered. HEAD changes nothing.
    if (!isHead) this.#members.setOwner(session);
    return session;
  }
}
