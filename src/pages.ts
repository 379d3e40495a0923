/**
 * The pages: templates from `static/`, filled in. Whatever is put in is text and is escaped. They are whole without the
 * script: what is said is in the HTML, and what can be done is a form.
 */
import { readFileSync } from "node:fs";
import { linkify } from "./client/linkify.js";
import { chatroomOf } from "./replies.js";
import type { Message } from "./store/store.js";
import { type Strings, stringsFor } from "./strings.js";

/** Where the pages and their styles are: beside `dist/` and `src/` alike. */
export const STATIC = new URL("../static/", import.meta.url);

/**
 * How the page stays fresh without scripts. It takes the whole page, since frames are forbidden, and with it, in all
 * browsers but Firefox, what is typed. So there is a link to a page that does without.
 */
const RENEW = '<noscript><meta http-equiv="refresh" content="20"></noscript>';

/** What the room's page shows. */
export interface RoomView {
  readonly user: string;
  /** The newest messages, oldest first. */
  readonly messages: readonly Message[];
  /** Where to read on from. */
  readonly cursor: string;
  /** How many people are here. */
  readonly present: number;
  /** The first of their names, in order. */
  readonly names: readonly string[];
  /** Whether the page stays as it is, for who writes without scripts. */
  readonly still: boolean;
}

/** What a template is filled with: text that is escaped, or HTML that was made here. */
type Filling = Readonly<Record<string, string | { readonly html: string }>>;

export class Pages {
  readonly #login = template("login.html");
  readonly #chatroom = template("chatroom.html");
  readonly #error = template("error.html");
  readonly #hosted: boolean;

  /** @param hosted whether log-in and log-out are the host's */
  constructor(hosted: boolean) {
    this.#hosted = hosted;
  }

  /**
   * The log-in form.
   * @param accepted the request's `Accept-Language`
   * @param now the name under which the caller is logged in already
   * @param typed the name that was no good, and the code that says why
   */
  login(
    accepted: string | undefined,
    now: string | undefined,
    typed?: { readonly name: string; readonly code: string },
  ): string {
    const { lang, page, errors } = stringsFor(accepted);
    const reason = typed ? (errors[typed.code] ?? typed.code) : "";
    const invalid = typed ? "true" : "false";
    const inside = { html: now === undefined ? "" : welcome(now, page) };
    return this.#login({ ...page, lang, inside, reason, invalid, name: typed?.name ?? "" });
  }

  /** The room. */
  chatroom(
    accepted: string | undefined,
    { user, messages, cursor, present, names, still }: RoomView,
  ): string {
    const { lang, page, script, errors } = stringsFor(accepted);
    // In a script element only "<" could end the element.
    const strings = JSON.stringify({ ...script, errors }).replaceAll("<", "\\u003c");
    return this.#chatroom({
      ...page,
      lang,
      user,
      cursor,
      segment: encodeURIComponent(user),
      here: page.here.replace("{n}", `${present}`),
      strings: { html: strings },
      exit: { html: this.#hosted ? "" : exit(page.logOut) },
      refresh: { html: still ? "" : RENEW },
      note: still ? page.still : page.renewing,
      names: { html: names.map(nameItem).join("\n") },
      messages: { html: messages.map((message) => item(message, user, script)).join("\n") },
    });
  }

  /**
   * What went wrong.
   * @param refusal the code, and the message for a code that has no words of its own
   * @param base the way from the page to the chat's root
   */
  error(
    accepted: string | undefined,
    refusal: { readonly status: number; readonly code: string; readonly message: string },
    base: string,
  ): string {
    const { lang, page, errors } = stringsFor(accepted);
    const code = this.#hosted && refusal.code === "no_session" ? "no_host_session" : refusal.code;
    const message = errors[code] ?? refusal.message;
    return this.#error({ ...page, lang, status: `${refusal.status}`, reason: message, base });
  }
}

function exit(words: string): string {
  return `<form method="post" action="../../logout?page"><button class="quiet">${words}</button></form>`;
}

/** For who comes to the log-in form and is logged in. */
function welcome(name: string, { inside, back }: Strings["page"]): string {
  const [before = "", after = ""] = inside.split("{name}");
  const link = `<a href="${chatroomOf(name)}">${back}</a>`;
  return `<p>${before}<bdi>${escapeHtml(name)}</bdi>${after} ${link}</p>`;
}

/** One message; `client/log.ts` makes the same in the browser. */
function item(message: Message, self: string, words: Strings["script"]): string {
  const { id, user, at, kind } = message;
  const iso = new Date(at).toISOString();
  const time = `<time datetime="${iso}">${iso.slice(11, 16)}</time>`;
  const name = `<bdi class="user">${escapeHtml(user)}</bdi>`;
  if (kind) {
    const [before = "", after = ""] = words[kind === "join" ? "joined" : "left"].split("{name}");
    return `<li class="notice" data-id="${id}"><p>${before}${name}${after}</p> ${time}</li>`;
  }
  const own = user === self ? ' class="own"' : "";
  return `<li${own} data-id="${id}">${name} ${time}<p dir="auto">${linked(message)}</p></li>`;
}

function nameItem(name: string): string {
  return `<li><bdi>${escapeHtml(name)}</bdi></li>`;
}

/** Pages show the same messages again and again. */
const made = new WeakMap<Message, string>();

function linked(message: Message): string {
  const known = made.get(message);
  if (known !== undefined) return known;
  const pieces = linkify(message.text).map(({ text, href }) => {
    const words = escapeHtml(text);
    if (href === undefined) return words;
    return `<a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer nofollow">${words}</a>`;
  });
  // A browser without styles shows no line end but this one.
  const html = pieces.join("").replaceAll("\n", "<br>");
  made.set(message, html);
  return html;
}

function template(file: string): (filling: Filling) => string {
  const parts = readFileSync(new URL(file, STATIC), "utf8").split(/\{\{(\w+)\}\}/);
  return (filling) => parts.map((part, at) => (at % 2 === 0 ? part : fill(filling, part, file))).join("");
}

function fill(filling: Filling, name: string, file: string): string {
  const value = filling[name];
  if (value === undefined) throw new Error(`${file} wants {{${name}}}, which nobody gives`);
  return typeof value === "string" ? escapeHtml(value) : value.html;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
