/** The pages: templates from `static/`, filled in. Whatever is put in is text and is escaped. */
import { readFileSync } from "node:fs";
import type { Refusal } from "./http/reply.js";
import type { Session } from "./room/names.js";
import type { Message } from "./store/store.js";

/** Where the pages and their styles are: beside `dist/` and `src/` alike. */
export const STATIC = new URL("../static/", import.meta.url);

/** What a template is filled with: text that is escaped, or HTML that was made here. */
type Filling = Readonly<Record<string, string | { readonly html: string }>>;

export class Pages {
  readonly #login = template("login.html");
  readonly #chatroom = template("chatroom.html");
  readonly #error = template("error.html");

  /** The log-in form, with what was typed and why that was no good. */
  login(name: string, reason: string): string {
    return this.#login({ name, reason });
  }

  /** The room, with the newest messages in it and the cursor to read on from. */
  chatroom(session: Session, messages: readonly Message[], cursor: string, present: number): string {
    return this.#chatroom({
      user: session.name,
      cursor,
      present: `${present}`,
      messages: { html: messages.map((message) => item(message, session.name)).join("\n") },
    });
  }

  /** What went wrong. @param base the way from the page to the chat's root */
  error(refusal: Refusal, base: string): string {
    return this.#error({ status: `${refusal.status}`, message: refusal.message, base });
  }
}

function item(message: Message, self: string): string {
  const { id, user, text, at, kind } = message;
  const time = new Date(at).toISOString();
  if (kind) {
    const what = kind === "join" ? "joined" : "left";
    return `<li class="notice" data-id="${id}"><bdi>${escapeHtml(user)}</bdi> ${what}</li>`;
  }
  const own = user === self ? ' class="own"' : "";
  return (
    `<li${own} data-id="${id}"><bdi class="user">${escapeHtml(user)}</bdi> <time datetime="${time}">` +
    `${time.slice(11, 16)}</time><p dir="auto">${escapeHtml(text)}</p></li>`
  );
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
