/**
 * Behind the host's own log-in: the host says who is calling, at each request. Nothing here has a cookie, and nobody is
 * refused for a name that somebody else has.
 */
import { refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import type { Handler } from "./http/router.js";
import type { Identified, Identify, Secrets } from "./options.js";
import type { Room } from "./room/room.js";
import { parseName } from "./room/text.js";
import { Sessions, type Signed } from "./sessions.js";

const NOBODY = refuse(401, "no_session", "Log in at this site first.");

export class HostSessions extends Sessions {
  readonly #room: Room;
  readonly #identify: Identify;
  readonly #callers = new WeakMap<Request, Signed>();

  constructor(room: Room, secrets: Secrets, identify: Identify) {
    super(room, secrets);
    this.#room = room;
    this.#identify = identify;
  }

  /** A handler for those only whom the host knows; others get a 401. */
  admit(handler: Handler): Handler {
    return (request) => {
      const who = this.#identify(request.req);
      // Without a promise in between, a poll is held in the turn in which it came.
      if (typeof who === "object" && who !== null) {
        return Promise.resolve(who).then((name) => this.#let(request, name, handler));
      }
      return this.#let(request, who, handler);
    };
  }

  override of(request: Request): Signed | undefined {
    return this.#callers.get(request);
  }

  #let(request: Request, who: Identified, handler: Handler): ReturnType<Handler> {
    if (who === undefined || who === null) return NOBODY;
    if (typeof who !== "string") throw new TypeError(`identify gives a name or undefined, not ${typeof who}`);
    const name = parseName(who);
    if ("rule" in name) throw new RangeError(`identify gave a name that will not do: ${name.rule}`);
    const session = { ...name, id: "host", since: 0, signedAt: Number.POSITIVE_INFINITY };
    // The register has no say here, but forgets for us those who were here long ago.
    if (!request.isHead) this.#room.people.names.has(session);
    this.#callers.set(request, session);
    return handler(request);
  }
}
