/** Posting over HTTP: a message is read, checked, and answered with its id once it is kept. */
import { createHash } from "node:crypto";
import { randomId } from "./form-key.js";
import { Rate } from "./http/limits.js";
import { json, type Outcome, redirect, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import type { Handler } from "./http/router.js";
import { BURST, chatroomOf, slowDown, unavailable } from "./replies.js";
import type { Session } from "./room/names.js";
import type { Room } from "./room/room.js";
import { isLonger, parseName, parseText } from "./room/text.js";
import type { Sessions } from "./sessions.js";
import { type Message, StoreUnavailable } from "./store/store.js";

/** The longest idempotency key, in code points. */
const KEY_LENGTH = 64;
/** What the keys begin with that the forms in our pages have. */
const PAGE_KEY = "page-";
/** The scope of the keys of the host's own code; that of a session is longer. */
const HOST_SCOPE = "host";

const REUSED = refuse(422, "key_reused", "This idempotency key was already used for another message.");

/** Makes an idempotency key for the form in a page. */
export function pageKey(): string {
  return PAGE_KEY + randomId();
}

/**
 * The key under which the store keeps a message. It begins with its scope, so that the scope holds over a restart and on
 * any process. The form in a page may be sent again with another text, after a step back in the browser.
 */
function storeKey(scope: string, key: string, text: string): string {
  return key.startsWith(PAGE_KEY) ? `${scope}:${key}:${hash(text)}` : `${scope}:${key}`;
}

/** A hash of 132 bits. The store, which others may read, must not tell a session's id. */
function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}

/** The handler of `/put_post/:user`. @param perSecond posts per user; 0: no limit */
export function putPost(room: Room, sessions: Sessions, perSecond: number): Handler {
  const rate = new Rate(perSecond, BURST);
  const check = ({ key }: Session) => {
    const wait = rate.take(key);
    return wait > 0 ? slowDown(wait) : undefined;
  };
  return sessions.member((request, session, form) => {
    if (room.draining) return unavailable("draining", "The server is stopping. Try again soon.");
    const message = parseText(form.get("message") ?? "");
    if ("rule" in message) return refuse(422, "bad_message", message.rule);
    const key = request.req.headers["idempotency-key"] ?? form.get("key");
    if (Array.isArray(key) || (key !== undefined && isLonger(key, KEY_LENGTH))) {
      return refuse(400, "bad_request", `An idempotency key has at most ${KEY_LENGTH} characters.`);
    }
    room.people.names.hold(session);
    // An empty field of a form is no key.
    const kept = key ? storeKey(hash(session.id), key, message.text) : undefined;
    return keep(room, request, session.name, message.text, kept);
  }, check);
}

async function keep(
  room: Room,
  request: Request,
  name: string,
  text: string,
  key?: string,
): Promise<Outcome> {
  try {
    const { id, text: kept } = await room.post(name, text, key);
    if (kept !== text) return REUSED;
    return request.prefersHtml() ? redirect(303, `../${chatroomOf(name)}`) : json(200, { id });
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    return unavailable("store_unavailable", "Messages cannot be kept now. Nothing was sent; try again soon.");
  }
}

/** What the host's own code says in the room. */
export interface HostDraft {
  /** The name that it says it under; nobody is kept from having the same. */
  readonly user: string;
  /** What it says: 1 to 2,000 characters. */
  readonly text: string;
  /** An idempotency key, at most 64 characters: a second post of the same user, key and text is the first one again. */
  readonly key?: string;
}

/** Posts for the host. Rejects with a `RangeError` that says which rule is broken, or an `Error` when the room has closed. */
export async function hostPost(room: Room, { user, text, key }: HostDraft): Promise<Message> {
  const name = parseName(user);
  if ("rule" in name) throw new RangeError(`user: ${name.rule}`);
  const message = parseText(text);
  if ("rule" in message) throw new RangeError(`text: ${message.rule}`);
  if (key !== undefined && (key === "" || isLonger(key, KEY_LENGTH))) {
    throw new RangeError(`key: An idempotency key has 1 to ${KEY_LENGTH} characters.`);
  }
  if (room.draining) throw new Error("the chat is closed");
  const kept = await room.post(name.name, message.text, key && storeKey(HOST_SCOPE, key, message.text));
  if (kept.text !== message.text) throw new RangeError("key: This key was already used for another text.");
  return kept;
}
