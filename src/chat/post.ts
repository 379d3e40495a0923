/** Posting: a message is read, checked, and answered with its id when it is kept. */
import type { Fields } from "../http/body.js";
import { RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { badRequest, HttpError, json, redirect } from "../http/response.js";
import type { Message, Session } from "../store/store.js";
import type { Room } from "./room.js";
import { hash, limitRate, roomPath } from "./shared.js";
import { isLonger, parseName, parseText } from "./text.js";

/** The longest idempotency key, in code points. */
const MAX_KEY_LENGTH = 64;

const BAD_KEY = badRequest(`An idempotency key has at most ${MAX_KEY_LENGTH} characters.`);
const REUSED = "This idempotency key was already used for another message.";

/** Returns the handler of `/put_post/*`. */
export function putPost(room: Room) {
  const rate = new RateLimiter(room.options.postRate);
  return async (request: Request, session: Session, form: Fields) => {
    limitRate(rate, session.key);
    const text = parseText(form.get("message") ?? "", (rule) => new HttpError(422, "bad_message", rule));
    const pageKey = form.get("page-key");
    // An empty key is none.
    const key = request.req.headers["idempotency-key"] || form.get("key") || pageKey;
    if (Array.isArray(key) || (key !== undefined && isLonger(key, MAX_KEY_LENGTH))) throw BAD_KEY;
    room.members.hold(session);
    // The form in a page may be sent again with another text, after a step back in the browser.
    const suffix = pageKey === undefined ? "" : `:${hash(text)}`;
    // With its scope, a key is the same after a restart and on any process.
    const scoped = `${hash(session.id || session.key)}:${key}${suffix}`;
    const message = await room.post(session.name, text, key ? scoped : undefined);
    if (message.text !== text) throw new HttpError(422, "key_reused", REUSED);
    room.metrics.countPost("kept");
    if (request.prefersHtml()) return redirect(303, `../${roomPath(session.name)}`);
    return json(200, { id: message.id });
  };
}

/** A message that the host's own code posts. */
export interface HostMessage {
  /** The name that is shown with the message, 1 to 32 characters. It may be the name of a member. */
  readonly user: string;
  /** The text, 1 to 2,000 characters. */
  readonly text: string;
  /**
   * An idempotency key, 1 to 64 characters. A second post with the same user, key and text resolves with the first message.
   * With another text it rejects with a `RangeError`. Default: none.
   */
  readonly key?: string;
}

/** Posts for the host, as `Chat.post` says. */
export async function hostPost(room: Room, { user, text, key }: HostMessage): Promise<Message> {
  for (const [field, value] of Object.entries({ user, text, key: key === undefined ? "" : key })) {
    if (typeof value !== "string") throw new TypeError(`${field}: A text is needed, not ${typeof value}.`);
  }
  const toError = (field: keyof HostMessage) => (rule: string) => new RangeError(`${field}: ${rule}`);
  const { name } = parseName(user, toError("user"));
  const parsed = parseText(text, toError("text"));
  if (key !== undefined && (key === "" || isLonger(key, MAX_KEY_LENGTH))) {
    throw toError("key")(`An idempotency key has 1 to ${MAX_KEY_LENGTH} characters.`);
  }
  // `host` cannot be the scope of a session, which is a hash of 22 characters.
  const message = await room.post(name, parsed, key && `host:${key}`);
  if (message.text !== parsed) throw toError("key")(REUSED);
  return message;
}
