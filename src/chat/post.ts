/** Posting: a message is read, checked, and answered with its id once it is kept. */
import { createHash } from "node:crypto";
import { RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { HttpError, type HttpResponse, json, redirect } from "../http/response.js";
import type { Handler } from "../http/router.js";
import type { Session } from "../store/cluster.js";
import { isStoreUnavailable, type Message } from "../store/store.js";
import { type Auth, withMember } from "./auth.js";
import { roomPath, slowDown, unavailable } from "./errors.js";
import { randomId } from "./form-key.js";
import type { Room } from "./room.js";
import { isLonger, parseName, parseText } from "./text.js";

/** The longest idempotency key, in code points. */
const MAX_KEY_LENGTH = 64;
/** How the keys of the forms in our pages begin. */
const PAGE_KEY = "page-";
/** The scope of the keys of the host's own code; that of a session is longer. */
const HOST_SCOPE = "host";

const BAD_KEY = new HttpError(
  400,
  "bad_request",
  `An idempotency key has at most ${MAX_KEY_LENGTH} characters.`,
);
const KEY_REUSED = new HttpError(
  422,
  "key_reused",
  "This idempotency key was already used for another message.",
);
const NO_STORE = unavailable(
  "store_unavailable",
  "Messages cannot be kept now. Nothing was sent. Try again soon.",
);

/** Makes an idempotency key for the form in a page. */
export function pageKey(): string {
  return PAGE_KEY + randomId();
}

/** Returns the handler of `/put_post/:user`. @param perSecond posts per user; 0: no limit */
export function putPost(room: Room, auth: Auth, perSecond: number): Handler {
  const rate = new RateLimiter(perSecond);
  const check = ({ key }: Session) => {
    const wait = rate.take(key);
    if (wait > 0) throw slowDown(wait);
  };
  return withMember(
    auth,
    (request, session, form) => {
      if (room.draining) throw unavailable("draining", "The server is stopping. Try again soon.");
      const message = parseText(form.get("message") ?? "");
      if ("rule" in message) throw new HttpError(422, "bad_message", message.rule);
      const key = request.req.headers["idempotency-key"] ?? form.get("key");
      if (Array.isArray(key) || (key !== undefined && isLonger(key, MAX_KEY_LENGTH))) throw BAD_KEY;
      room.members.hold(session);
      // An empty field of a form is no key.
      const scoped = key ? scopedKey(hash(session.id || session.key), key, message.text) : undefined;
      return keep(room, request, session.name, message.text, scoped);
    },
    check,
  );
}

async function keep(
  room: Room,
  request: Request,
  name: string,
  text: string,
  key?: string,
): Promise<HttpResponse> {
  const message = await room.post(name, text, key).catch((error: unknown) => {
    throw isStoreUnavailable(error) ? NO_STORE : error;
  });
  if (message.text !== text) throw KEY_REUSED;
  return request.prefersHtml() ? redirect(303, `../${roomPath(name)}`) : json(200, { id: message.id });
}

/** A message that the host's own code posts. */
export interface HostMessage {
  /** The name under which it appears. It may be a member's name. */
  readonly user: string;
  /** The text: 1 to 2,000 characters. */
  readonly text: string;
  /** An idempotency key, at most 64 characters: a second post of the same user, key and text is the first one again. */
  readonly key?: string;
}

/** Posts for the host, as `Chat.post` says. */
export async function hostPost(room: Room, { user, text, key }: HostMessage): Promise<Message> {
  for (const [field, value] of Object.entries({ user, text, key: key ?? "" })) {
    if (typeof value !== "string") throw new TypeError(`${field}: This is a text, not ${typeof value}.`);
  }
  const name = parseName(user);
  if ("rule" in name) throw new RangeError(`user: ${name.rule}`);
  const message = parseText(text);
  if ("rule" in message) throw new RangeError(`text: ${message.rule}`);
  if (key !== undefined && (key === "" || isLonger(key, MAX_KEY_LENGTH))) {
    throw new RangeError(`key: An idempotency key has 1 to ${MAX_KEY_LENGTH} characters.`);
  }
  if (room.draining) throw new Error("the chat is closed");
  const kept = await room.post(name.name, message.text, key && scopedKey(HOST_SCOPE, key, message.text));
  if (kept.text !== message.text) throw new RangeError("key: This key was already used for another text.");
  return kept;
}

/**
 * Returns the key under which the store keeps a message. It begins with its scope, so the scope holds after a restart and
 * on any process. The form in a page may be sent again with another text, after a step back in the browser.
 */
function scopedKey(scope: string, key: string, text: string): string {
  return key.startsWith(PAGE_KEY) ? `${scope}:${key}:${hash(text)}` : `${scope}:${key}`;
}

/** Returns a hash of 132 bits. Others may read the store, and it must not contain a session's id. */
function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
