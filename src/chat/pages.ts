/** The pages: templates from `static/`. All values are escaped. The pages work without the script, by forms and links. */
import { readFileSync } from "node:fs";
import { markup, nameClass } from "../client/markup.js";
import type { Request } from "../http/request.js";
import { type HttpError, type HttpResponse, html, json } from "../http/response.js";
import type { Message } from "../store/store.js";
import { roomPath } from "./errors.js";
import { type Strings, stringsFor } from "./strings.js";

/** The folder of templates and styles, found from `dist/chat/` and from `src/chat/` alike. */
export const STATIC = new URL("../../static/", import.meta.url);

/** How many names are in the page. */
const PAGE_NAMES = 100;

/**
 * Refreshes the page without scripts. In all browsers but Firefox this deletes what is typed, so there is a link to a page
 * that does not refresh itself.
 */
const REFRESH = '<noscript><meta http-equiv="refresh" content="20"></noscript>';

/** The content of the room's page. */
export interface RoomView {
  readonly user: string;
  /** The idempotency key of its form. */
  readonly key: string;
  /** The newest messages, or the newest ones before `before`; oldest first. */
  readonly messages: readonly Message[];
  /** Whether older messages are kept. The link to them is `?before=`, with the id of the first message. */
  readonly more: boolean;
  /** The id that the caller asked for with `?before=`. Absent on the page of the newest messages. */
  readonly before?: string;
  /** The cursor after these messages. */
  readonly cursor: string;
  /** The names of the present members, in order. */
  readonly names: readonly string[];
  /** Whether the page does not refresh itself without scripts. */
  readonly isStill: boolean;
}

/** The values of a template: text, which is escaped, or HTML that was made here. */
type Values = Readonly<Record<string, string | { readonly html: string }>>;

export class Pages {
  readonly #login = template("login.html");
  readonly #chatroom = template("chatroom.html");
  readonly #error = template("error.html");
  readonly #title: string;
  readonly #hosted: boolean;

  /**
   * @param title the title of the pages
   * @param hosted whether the host has its own log-in and log-out
   */
  constructor(title: string, hosted: boolean) {
    this.#title = title;
    this.#hosted = hosted;
  }

  /**
   * Returns the log-in form.
   * @param key the form's one-time key
   * @param now the name under which the caller is logged in
   * @param typed a name that was refused, and the error code
   */
  login(
    request: Request,
    key: string,
    now: string | undefined,
    typed?: { readonly name: string; readonly code: string },
  ): string {
    const { lang, page, errors } = stringsOf(request);
    const reason = typed ? (errors[typed.code] ?? typed.code) : "";
    const invalid = typed ? "true" : "false";
    const inside = { html: now === undefined ? "" : welcome(now, page) };
    return this.#login({
      ...page,
      title: this.#title,
      lang,
      key,
      inside,
      reason,
      invalid,
      name: typed?.name ?? "",
    });
  }

  /** Returns the room. */
  chatroom(request: Request, view: RoomView): string {
    const { user, key, messages, cursor, names, isStill, before } = view;
    const { lang, page, script, errors } = stringsOf(request);
    // In a script element, only "<" can end the element.
    const strings = JSON.stringify({ ...script, errors }).replaceAll("<", "\\u003c");
    return this.#chatroom({
      ...page,
      title: this.#title,
      lang,
      user,
      key,
      cursor,
      segment: encodeURIComponent(user),
      here: page.here.replace("{n}", `${names.length}`),
      strings: { html: strings },
      exit: { html: this.#hosted ? "" : exit(page.logOut) },
      refresh: { html: isStill || before ? "" : REFRESH },
      note: before ? page.past : isStill ? page.still : page.renewing,
      renew: before ? page.newest : page.renew,
      history: { html: earlierLink(view, script) },
      names: {
        html: names
          .slice(0, PAGE_NAMES)
          .map((name) => nameItem(name, user, script))
          .join("\n"),
      },
      messages: { html: messages.map((message) => item(message, user, script)).join("\n") },
    });
  }

  /** Turns an error into a page, for callers that prefer HTML, or into JSON. */
  errorResponse(request: Request, { status, code, message, headers }: HttpError): HttpResponse {
    if (!request.prefersHtml()) return json(status, { error: { code, message } }, headers);
    const { lang, page, errors } = stringsOf(request);
    const known = errors[this.#hosted && code === "no_session" ? "no_host_session" : code];
    const reason = known ?? message;
    const { base } = request;
    const values = { ...page, title: this.#title, lang, status: `${status}`, reason, base };
    return html(status, this.#error(values), headers);
  }
}

function stringsOf({ req }: Request): Strings {
  return stringsFor(req.headers["accept-language"]);
}

/** Returns the form to log out. It has a field, because lynx sends a form without fields as a GET. */
function exit(words: string): string {
  const field = '<input type="hidden" name="from" value="page">';
  return `<form method="post" action="../../logout?page">${field}<button class="quiet">${words}</button></form>`;
}

/** Returns the link to the messages before the first one, or a note that none are kept. */
function earlierLink({ messages, more }: RoomView, { earlier, noEarlier }: Strings["script"]): string {
  const [first] = messages;
  return more && first ? `<a href="?before=${first.id}">${earlier}</a>` : noEarlier;
}

/** Returns a note for a caller who is logged in and opens the log-in form. */
function welcome(name: string, { inside, back }: Strings["page"]): string {
  const [before = "", after = ""] = inside.split("{name}");
  const link = `<a href="${roomPath(name)}">${back}</a>`;
  return `<p>${before}<bdi>${escapeHtml(name)}</bdi>${after} ${link}</p>`;
}

/** Returns one message; `client/items.ts` makes the same in the browser. */
function item(message: Message, self: string, words: Strings["script"]): string {
  const { id, user, at, kind } = message;
  const iso = new Date(at).toISOString();
  const clock = iso.slice(11, 16);
  const title = `${iso.slice(0, 10)} ${clock} UTC`;
  const time = `<time datetime="${iso}" title="${title}">${clock.replace(/^0/, "")}</time>`;
  const name = `<bdi class="${nameClass(user)}">${escapeHtml(user)}</bdi>`;
  if (kind) {
    const [before = "", after = ""] = words[kind === "join" ? "joined" : "left"].split("{name}");
    return `<li class="notice" data-id="${id}"><p>${before}${name}${after}</p> ${time}</li>`;
  }
  const own = user === self ? ' class="own"' : "";
  return `<li${own} data-id="${id}">${name} ${time}<p dir="auto">${rendered(message)}</p></li>`;
}

/** Returns one name of the list of people; `client/people.ts` makes the same. */
function nameItem(name: string, self: string, { you }: Strings["script"]): string {
  const mark = name === self ? ` <span class="quiet">${you}</span>` : "";
  return `<li><bdi>${escapeHtml(name)}</bdi>${mark}</li>`;
}

/** Pages show the same messages many times. */
const cache = new WeakMap<Message, string>();

function rendered(message: Message): string {
  const known = cache.get(message);
  if (known !== undefined) return known;
  const pieces = markup(message.text).map(({ text, href, code }) => {
    const words = escapeHtml(text);
    if (code) return `<code class="${code}">${words}</code>`;
    if (href === undefined) return words;
    return `<a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer nofollow">${words}</a>`;
  });
  // A browser without styles shows no other line end.
  const html = pieces.join("").replaceAll("\n", "<br>");
  cache.set(message, html);
  return html;
}

function template(file: string): (values: Values) => string {
  const parts = readFileSync(new URL(file, STATIC), "utf8").split(/\{\{(\w+)\}\}/);
  return (values) => parts.map((part, at) => (at % 2 === 0 ? part : fill(values, part, file))).join("");
}

function fill(values: Values, name: string, file: string): string {
  const value = values[name];
  if (value === undefined) throw new Error(`${file} needs a value for {{${name}}}`);
  return typeof value === "string" ? escapeHtml(value) : value.html;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
