/** The pages: templates from `static/`. All values are escaped. The pages work without the script, by forms and links. */
import { readFileSync } from "node:fs";
import { markup, nameClass } from "../client/markup.js";
import type { Id } from "../feed/index.js";
import type { Request } from "../http/request.js";
import { type HttpError, type HttpResponse, html, json } from "../http/response.js";
import type { Message } from "../store/store.js";
import { roomPath } from "./errors.js";
import { pageKey } from "./post.js";
import type { Room } from "./room.js";
import { type Strings, stringsFor } from "./strings.js";
import { nameKey } from "./text.js";

/** The folder of templates and styles, found from `dist/chat/` and from `src/chat/` alike. */
export const STATIC = new URL("../../static/", import.meta.url);

/** How many messages and how many names are in the page of the room. */
const PAGE_MESSAGES = 100;
const PAGE_NAMES = 100;

export class Pages {
  readonly #login = readFileSync(new URL("login.html", STATIC), "utf8");
  readonly #chatroom = readFileSync(new URL("chatroom.html", STATIC), "utf8");
  readonly #error = readFileSync(new URL("error.html", STATIC), "utf8");

  constructor(private readonly room: Room) {}

  /**
   * Returns the page with the form to log in.
   * @param key the one-time key of the form
   * @param user the name under which the caller is logged in
   * @param name the name that the caller typed before
   * @param code the code of the error, if that name was refused
   */
  login(request: Request, key: string, user = "", name = "", code?: string): string {
    const { lang, page, errors } = stringsFor(request.req.headers["accept-language"]);
    const [before = "", after = ""] = page.inside.split("{name}");
    return fill(this.#login, {
      ...{ ...page, lang, title: this.room.options.title, key, name, user, before, after },
      path: roomPath(user),
      reason: code === undefined ? "" : (errors[code] ?? code),
      invalid: `${code !== undefined}`,
    });
  }

  /**
   * Returns the room for a member, with the newest messages, or with those before an id. A page of older messages and one
   * that is paused (`?still`) do not refresh themselves.
   */
  chatroom(request: Request, user: string, before: Id | "now"): string {
    const { feed, members, options } = this.room;
    const { lang, page, script, errors } = stringsFor(request.req.headers["accept-language"]);
    const [isOld, isStill] = [before !== "now", request.query().get("still") !== undefined];
    const { events, more } = feed.readBefore(before, PAGE_MESSAGES);
    const messages = events.map(({ event }) => event);
    const [first] = messages;
    const names = members.names.slice(0, PAGE_NAMES);
    return fill(this.#chatroom, {
      ...{ ...page, lang, title: options.title, user, key: pageKey() },
      // On a page of older messages, the script continues after the last of them.
      cursor: isOld ? (messages.at(-1)?.id ?? feed.lastPrunedId) : feed.lastId,
      segment: encodeURIComponent(user),
      here: script.here.replace("{n}", `${members.names.length}`),
      // In a script element, only "<" can end the element.
      strings: JSON.stringify({ ...script, errors }).replaceAll("<", "\\u003c"),
      // Its form has a field, because lynx sends a form without fields as a GET.
      logOut: options.identify ? "" : page.logOut,
      // In all browsers but Firefox, a refresh deletes the text in the form, so the page has a link that pauses it.
      refresh: isOld || isStill ? "" : "20",
      note: isOld ? page.past : isStill ? page.still : page.renewing,
      renew: isOld ? page.newest : page.renew,
      earlier: more ? script.earlier : "",
      first: first?.id ?? "",
      begins: first && !more ? script.begins.replace("{date}", dateOf(first.at)) : "",
      names: names.map((name) => nameItem(name, user, script)).join("\n"),
      messages: messages.map((message) => item(message, user, script)).join("\n"),
    });
  }

  /** Turns an error into a page, for callers that prefer HTML, or into JSON. */
  errorResponse(request: Request, { status, code, message, headers }: HttpError): HttpResponse {
    if (!request.prefersHtml()) return json(status, { error: { code, message } }, headers);
    const { title, identify } = this.room.options;
    const { lang, page, errors } = stringsFor(request.req.headers["accept-language"]);
    const reason = errors[identify && code === "no_session" ? "no_host_session" : code] ?? message;
    const values = { ...page, lang, title, status: `${status}`, reason, base: request.base };
    return html(status, fill(this.#error, values), headers);
  }
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

const TAG = /\{\{#(\w+)\}\}(.*?)\{\{\/\1\}\}|\{\{\{(\w+)\}\}\}|\{\{(\w+)\}\}/gs;

/**
 * Fills a template. `{{name}}` stands for a text, which is escaped, and `{{{name}}}` for HTML that was made here. What is
 * between `{{#name}}` and `{{/name}}` is left out if the value is empty.
 */
function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(TAG, (_, section?: string, inner = "", html?: string, text = "") => {
    const name = section ?? html ?? text;
    const value = values[name];
    if (value === undefined) throw new Error(`a template needs a value for ${name}`);
    if (section !== undefined) return value && fill(inner, values);
    return html === undefined ? escapeHtml(value) : value;
  });
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
