/** The pages: templates from `static/`. All values are escaped. The pages work without the script, by forms and links. */
import { readFileSync } from "node:fs";
import { markup, nameClass } from "../client/markup.js";
import type { Request } from "../http/request.js";
import { type HttpError, type HttpResponse, html, json } from "../http/response.js";
import type { Message } from "../store/store.js";
import { roomPath } from "./errors.js";
import { pageKey } from "./post.js";
import { type Strings, stringsFor } from "./strings.js";
import { nameKey } from "./text.js";

/** The folder of templates and styles, found from `dist/chat/` and from `src/chat/` alike. */
export const STATIC = new URL("../../static/", import.meta.url);

/** How many names are in the page. */
const PAGE_NAMES = 100;

/**
 * Refreshes the page without scripts. In all browsers but Firefox a refresh deletes the text in the form, so the page has a
 * link that pauses it.
 */
const REFRESH = '<noscript><meta http-equiv="refresh" content="20"></noscript>';

/** The content of the room's page. */
export interface RoomView {
  readonly user: string;
  /** The newest messages, or the newest ones before `?before=`; oldest first. */
  readonly messages: readonly Message[];
  /** Whether older messages are kept. The link to them is `?before=`, with the id of the first message. */
  readonly more: boolean;
  /** The cursor after these messages. */
  readonly cursor: string;
  /** The names of the present members, in order. */
  readonly names: readonly string[];
}

/** The values of a template: `{{name}}` stands for a text, which is escaped, and `{{{name}}}` for HTML that was made here. */
type Values = Readonly<Record<string, string>>;

export class Pages {
  readonly #login = template("login.html");
  readonly #chatroom = template("chatroom.html");
  readonly #error = template("error.html");

  /**
   * @param title the title of the pages
   * @param hasHostAuth whether the host has its own log-in and log-out
   */
  constructor(
    private readonly title: string,
    private readonly hasHostAuth: boolean,
  ) {}

  /**
   * Returns the log-in form.
   * @param key the form's one-time key
   * @param user the name under which the caller is logged in
   * @param typed a name that was refused, and the error code
   */
  login(request: Request, key: string, user?: string, typed?: { name: string; code: string }): string {
    const { lang, page, errors } = stringsOf(request);
    return this.#login({
      ...{ ...page, lang, title: this.title, key },
      inside: user === undefined ? "" : welcome(user, page),
      name: typed?.name ?? "",
      reason: typed ? (errors[typed.code] ?? typed.code) : "",
      invalid: typed ? "true" : "false",
    });
  }

  /** Returns the room. A page of older messages (`?before=`) and one that is paused (`?still`) do not refresh themselves. */
  chatroom(request: Request, { user, messages, more, cursor, names }: RoomView): string {
    const { lang, page, script, errors } = stringsOf(request);
    const query = request.query();
    const [isOld, isStill] = [query.get("before") !== undefined, query.get("still") !== undefined];
    const [first] = messages;
    return this.#chatroom({
      ...{ ...page, lang, title: this.title, user, cursor, key: pageKey() },
      segment: encodeURIComponent(user),
      here: script.here.replace("{n}", `${names.length}`),
      // In a script element, only "<" can end the element.
      strings: JSON.stringify({ ...script, errors }).replaceAll("<", "\\u003c"),
      exit: this.hasHostAuth ? "" : exit(page.logOut),
      refresh: isOld || isStill ? "" : REFRESH,
      note: isOld ? page.past : isStill ? page.still : page.renewing,
      renew: isOld ? page.newest : page.renew,
      history: first ? above(first, more, script) : "",
      names: lines(names.slice(0, PAGE_NAMES), (name) => nameItem(name, user, script)),
      messages: lines(messages, (message) => item(message, user, script)),
    });
  }

  /** Turns an error into a page, for callers that prefer HTML, or into JSON. */
  errorResponse(request: Request, { status, code, message, headers }: HttpError): HttpResponse {
    if (!request.prefersHtml()) return json(status, { error: { code, message } }, headers);
    const { lang, page, errors } = stringsOf(request);
    const reason = errors[this.hasHostAuth && code === "no_session" ? "no_host_session" : code] ?? message;
    const values = { ...page, lang, title: this.title, status: `${status}`, reason, base: request.base };
    return html(status, this.#error(values), headers);
  }
}

function stringsOf({ req }: Request): Strings {
  return stringsFor(req.headers["accept-language"]);
}

function lines<T>(values: readonly T[], toLine: (value: T) => string): string {
  return values.map(toLine).join("\n");
}

/** Returns the form to log out. It has a field, because lynx sends a form without fields as a GET. */
function exit(words: string): string {
  const field = '<input type="hidden" name="from" value="page">';
  return `<form method="post" action="../../logout?page">${field}<button class="quiet">${words}</button></form>`;
}

/** Returns the note on the log-in form that the caller is already logged in. */
function welcome(name: string, { inside, back }: Strings["page"]): string {
  const words = inside.replace("{name}", () => `<bdi>${escapeHtml(name)}</bdi>`);
  return `<p>${words} <a href="${roomPath(name)}">${back}</a></p>`;
}

/** Returns the line above the first message: a link to earlier ones, or when the kept ones begin. */
function above({ id, at }: Message, more: boolean, { earlier, begins }: Strings["script"]): string {
  return more ? `<a href="?before=${id}">${earlier}</a>` : begins.replace("{date}", dateOf(at));
}

/** Returns a date and time as the pages show it without scripts. */
function dateOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Returns one message; `client/items.ts` makes the same in the browser. */
function item(message: Message, self: string, words: Strings["script"]): string {
  const { id, user, at, kind } = message;
  const iso = new Date(at).toISOString();
  const clock = iso.slice(11, 16);
  const time = `<time datetime="${iso}" title="${dateOf(at)}">${clock.replace(/^0/, "")}</time>`;
  const name = `<bdi class="${nameClass(user)}">${escapeHtml(user)}</bdi>`;
  if (kind) {
    const text = words[kind === "join" ? "joined" : "left"].replace("{name}", () => name);
    return `<li class="notice" data-id="${id}"><p>${text}</p> ${time}</li>`;
  }
  const own = user === self ? ' class="own"' : "";
  return `<li${own} data-id="${id}">${name} ${time}<p dir="auto">${rendered(message)}</p></li>`;
}

/** Returns one name of the list of people; `client/people.ts` makes the same. */
function nameItem(name: string, self: string, { you }: Strings["script"]): string {
  // A host may spell the name in another way than before.
  const mark = nameKey(name) === nameKey(self) ? ` <span class="quiet">${you}</span>` : "";
  return `<li><bdi>${escapeHtml(name)}</bdi>${mark}</li>`;
}

/** The HTML of texts. Pages show the same messages many times, and a hostile text takes long. */
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
  const parts = readFileSync(new URL(file, STATIC), "utf8").split(/\{\{(\{?\w+)\}?\}\}/);
  const fill = (values: Values, place: string): string => {
    const value = values[place.replace("{", "")];
    if (value === undefined) throw new Error(`${file} needs a value for ${place}`);
    return place.startsWith("{") ? value : escapeHtml(value);
  };
  return (values) => parts.map((part, at) => (at % 2 === 0 ? part : fill(values, part))).join("");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
