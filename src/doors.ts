/** The doors: coming in under a name, the room's page, and going out. */
import { neighbourhood, Rate } from "./http/limits.js";
import { html, isRefusal, type Outcome, type Refusal, redirect, refuse } from "./http/reply.js";
import type { Request } from "./http/request.js";
import type { Pages } from "./pages.js";
import { BURST, chatroomOf, slowDown, unavailable } from "./replies.js";
import type { Room } from "./room/room.js";
import { parseName } from "./room/text.js";
import type { Sessions } from "./sessions.js";
import { StoreUnavailable } from "./store/store.js";

/** How many messages and how many names are in the page's HTML. */
const MESSAGES_IN_PAGE = 100;
const NAMES_IN_PAGE = 100;

const TAKEN = refuse(409, "name_taken", "Somebody else has this name now.");
const FULL = unavailable("too_many_waiters", "Too many people are here. Try again soon.", 30);

const NO_STORE = unavailable("store_unavailable", "Nobody can come in now. Try again soon.");

function unlessUnavailable(error: unknown): undefined {
  if (!(error instanceof StoreUnavailable)) throw error;
}

export class Doors {
  readonly #room: Room;
  readonly #sessions: Sessions;
  readonly #pages: Pages;
  readonly #rate: Rate;

  /** @param perSecond log-ins per address; 0: no limit */
  constructor(room: Room, sessions: Sessions, pages: Pages, perSecond: number) {
    this.#room = room;
    this.#sessions = sessions;
    this.#pages = pages;
    this.#rate = new Rate(perSecond, BURST);
  }

  /** `GET /` */
  home(request: Request): Outcome {
    // Mounted at `/chat` and asked for without the last slash: links from there would lead beside us.
    if (request.base !== "./") return redirect(308, request.base);
    const session = this.#sessions.of(request);
    return redirect(303, session ? chatroomOf(session.name) : "login", this.#sessions.renew(request));
  }

  /** `GET /login` */
  loginForm(request: Request): Outcome {
    const name = this.#sessions.of(request)?.name;
    return html(200, this.#pages.login(request.req.headers["accept-language"], name));
  }

  /** `POST /login` */
  async login(request: Request): Promise<Outcome | undefined> {
    const wait = this.#rate.take(neighbourhood(request.address));
    if (wait > 0) return this.#refused(request, "", slowDown(wait));
    const fields = await request.form();
    if (!fields || isRefusal(fields)) return fields;
    const typed = fields.get("name") ?? "";
    const name = parseName(typed);
    if ("rule" in name) return this.#refused(request, typed, refuse(422, "bad_name", name.rule));
    const before = this.#sessions.of(request);
    const session = before?.key === name.key ? before : this.#sessions.create(name);
    const claim = await this.#room.people.claim(session).catch(unlessUnavailable);
    if (claim === undefined) return this.#refused(request, typed, NO_STORE);
    if (claim !== "yours") return this.#refused(request, typed, claim === "taken" ? TAKEN : FULL);
    // One browser, one name: the former is free.
    if (before && before !== session) await this.#room.logout(before);
    this.#room.open(session.name);
    return redirect(303, chatroomOf(session.name), { "Set-Cookie": this.#sessions.cookie(session, request) });
  }

  /** `POST /logout` */
  async logout(request: Request): Promise<Outcome> {
    const session = this.#sessions.of(request);
    if (session) await this.#room.logout(session);
    return redirect(303, "login", { "Set-Cookie": this.#sessions.noCookie(request) });
  }

  /** `GET /chatroom/:user`, without the last slash. */
  chatroomSlash(request: Request): Outcome {
    return redirect(308, `./${encodeURIComponent(request.params.user ?? "")}/`);
  }

  /** `GET /chatroom/:user/` */
  chatroom(request: Request): Outcome {
    const session = this.#sessions.of(request);
    if (!session) return redirect(303, "../../login");
    if (request.params.user !== session.name) return redirect(303, `../../${chatroomOf(session.name)}`);
    // A link of another site leads to the page, but nobody is present by it and no cursor moves.
    if (!request.isHead && !request.isForeign()) this.#room.view(session.name);
    const still = request.query()?.get("still") !== undefined;
    const view = {
      user: session.name,
      present: this.#room.people.count,
      names: this.#room.people.who(NAMES_IN_PAGE),
      still,
      ...this.#room.newest(MESSAGES_IN_PAGE),
    };
    return html(200, this.#pages.chatroom(request.req.headers["accept-language"], view));
  }

  #refused(request: Request, name: string, refusal: Refusal): Outcome {
    if (!request.prefersHtml()) return refusal;
    const now = this.#sessions.of(request)?.name;
    const page = this.#pages.login(request.req.headers["accept-language"], now, { name, code: refusal.code });
    return html(refusal.status, page, refusal.headers);
  }
}
