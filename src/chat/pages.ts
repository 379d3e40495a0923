/** The pages: templates from `static/`. All values are escaped. The pages work without the script, by forms and links. */
import { readFileSync } from "node:fs";
import { dateOf, escapeHtml, itemClass, itemHtml, nameItem } from "../client/markup.js";
import type { Id } from "../feed/index.js";
import type { Request } from "../http/request.js";
import { type HttpError, type HttpResponse, html, json } from "../http/response.js";
import { STATIC } from "../paths.js";
import type { Message } from "../store/store.js";
import type { Room } from "./room.js";
import { randomId, roomPath } from "./shared.js";
import { type Strings, stringsFor } from "./strings.js";

/** How many messages, and how many names, are in the page of the room. */
const PAGE_ITEMS = 100;

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
    const { title } = this.room.options;
    const reason = code === undefined ? "" : (errors[code] ?? code);
    const form = { key, name, user, before, after, path: roomPath(user), invalid: `${code !== undefined}` };
    return fill(this.#login, { ...page, lang, title, reason, ...form });
  }

  /**
   * Returns the room for a member, with the newest messages, or with those before an id. A page of older messages and one
   * that is paused (`?still`) do not refresh themselves.
   */
  chatroom(request: Request, user: string, before: Id | "now"): string {
    const { feed, members, options } = this.room;
    const { lang, page, script, errors } = stringsFor(request.req.headers["accept-language"]);
    const [isOld, isStill] = [before !== "now", request.query().get("still") !== undefined];
    const { events, more } = feed.readBefore(before, PAGE_ITEMS);
    const messages = events.map(({ event }) => event);
    const [first] = messages;
    const names = members.names.slice(0, PAGE_ITEMS);
    return fill(this.#chatroom, {
      ...page,
      lang,
      title: options.title,
      user,
      key: randomId(),
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
      stop: isOld || isStill ? "" : page.stop,
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

/** The HTML inside the items of messages. Pages show the same messages many times, and a hostile text takes long to convert. */
const cache = new WeakMap<Message, string>();

/** Returns one message. */
function item(message: Message, self: string, words: Strings["script"]): string {
  const html = cache.get(message) ?? itemHtml(message, words);
  // A notice has words in the language of its reader.
  if (!message.kind) cache.set(message, html);
  return `<li class="${itemClass(message, self)}" data-id="${message.id}">${html}</li>`;
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
