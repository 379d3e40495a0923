/** Logging in and out, and the room's page. */
import { isId } from "../feed/index.js";
import type { Fields } from "../http/form.js";
import { clientSubnet, RateLimiter } from "../http/rate-limit.js";
import type { Request } from "../http/request.js";
import { HttpError, type HttpResponse, html, redirect } from "../http/response.js";
import type { Session } from "../store/cluster.js";
import { isStoreUnavailable } from "../store/store.js";
import { BAD_BEFORE, roomPath, slowDown, unavailable } from "./errors.js";
import { LegacyCookie, noLegacyCookie } from "./legacy-cookie.js";
import type { Pages } from "./pages.js";
import { pageKey } from "./post.js";
import type { Room } from "./room.js";
import type { Sessions } from "./sessions.js";
import { MAX_RAW_NAME_LENGTH, parseName } from "./text.js";

/** How many messages are in the page's HTML. */
const PAGE_MESSAGES = 100;

const NAME_TAKEN = new HttpError(409, "name_taken", "That name is taken.");
const NAMES_FULL = unavailable("too_many_waiters", "Too many people are here. Try again soon.", 30);
const NO_STORE = unavailable("store_unavailable", "Nobody can log in now. Try again soon.");

export class Login {
  readonly #room: Room;
  readonly #sessions: Sessions;
  readonly #pages: Pages;
  readonly #rate: RateLimiter;

  /** @param perSecond log-ins per address; 0: no limit */
  constructor(room: Room, sessions: Sessions, pages: Pages, perSecond: number) {
    this.#room = room;
    this.#sessions = sessions;
    this.#pages = pages;
    this.#rate = new RateLimiter(perSecond);
  }

  /** Answers `GET /login`. */
  form(request: Request, session: Session | undefined): HttpResponse {
    return html(200, this.#pages.login(request, this.#sessions.formKey(), session?.name));
  }

  /** Answers `POST /login`. A browser gets the form again with the reason, with what was typed and with the same key. */
  async login(request: Request): Promise<HttpResponse> {
    let form: Fields | undefined;
    try {
      const wait = this.#rate.take(clientSubnet(request.address));
      if (wait > 0) throw slowDown(wait);
      form = await request.form();
      const session = await this.#claim(request, form);
      const cookies = [this.#sessions.cookie(session, request)];
      this.#room.open(session);
      cookies.push(new LegacyCookie(request, session).set(this.#room.feed.lastId));
      return redirect(303, roomPath(session.name), { "Set-Cookie": cookies });
    } catch (error) {
      if (!(error instanceof HttpError) || !request.prefersHtml()) throw error;
      const typed = { name: (form?.get("name") ?? "").slice(0, MAX_RAW_NAME_LENGTH), code: error.code };
      const session = await this.#sessions.authenticate(request);
      const page = this.#pages.login(request, this.#sessions.formKey(form?.get("key")), session?.name, typed);
      return html(error.status, page, error.headers);
    }
  }

  /** Answers `POST /logout`. */
  async logout(request: Request, session: Session | undefined): Promise<HttpResponse> {
    if (session) await this.#room.members.logout(session);
    const cookies = [this.#sessions.noCookie(request), noLegacyCookie(request)];
    return redirect(303, "login", { "Set-Cookie": cookies });
  }

  async #claim(request: Request, form: Fields): Promise<Session> {
    const name = parseName(form.get("name") ?? "");
    if ("rule" in name) throw new HttpError(422, "bad_name", name.rule);
    const { members } = this.#room;
    try {
      const before = await this.#sessions.authenticate(request);
      // A new log-in under one's own name gets a new session, so a cookie that was planted is worth nothing.
      const own = before?.key === name.key ? before : undefined;
      const claimed = await members.claim(this.#sessions.create(own ?? name, form.get("key")), own?.id);
      if (claimed === "taken") throw NAME_TAKEN;
      if (claimed === "full") throw NAMES_FULL;
      // A browser has one name: the one before is free.
      const former = await this.#sessions.authenticate(request);
      if (former && former.key !== claimed.key) await members.logout(former);
      return claimed;
    } catch (error) {
      throw isStoreUnavailable(error) ? NO_STORE : error;
    }
  }
}

/** Answers `GET /chatroom/:user/`, and `?before=<id>` for the messages before that id. */
export function roomPage(room: Room, pages: Pages, request: Request, session: Session): HttpResponse {
  const { feed, members } = room;
  if (request.params.user !== session.name) return redirect(303, `../../${roomPath(session.name)}`);
  const query = request.query();
  const before = query?.get("before");
  if (before !== undefined && !isId(before)) throw BAD_BEFORE;
  // A link of another site leads here too, but it makes nobody present and moves no cursor.
  if (!request.isHead && !request.isForeign()) {
    members.presence.touch(before === undefined ? room.open(session) : members.get(session));
  }
  const { events, more } = feed.readBefore(before ?? "now", PAGE_MESSAGES);
  const view = {
    user: session.name,
    key: pageKey(),
    names: members.presence.names,
    isStill: query?.get("still") !== undefined,
    messages: events.map(({ event }) => event),
    more,
    ...(before !== undefined && { before }),
    // On a page of older messages, the script continues after the last of them.
    cursor: before === undefined ? feed.lastId : (events.at(-1)?.id ?? feed.lastPrunedId),
  };
  return html(200, pages.chatroom(request, view));
}
