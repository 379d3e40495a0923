/** The people who are here: their number always, their names while the list is open. */
import { byId, fill, make, type Words } from "./dom.js";
import type { RoomOptions } from "./options.js";
import { getJson, isObject } from "./request.js";

/** Longest list; the rest is a number. */
const MAX_LISTED = 200;
/** Shortest time between two requests while the list is open, however many people join and leave. */
const INTERVAL_MS = 2000;

export class People {
  readonly #details = byId("people", HTMLDetailsElement);
  readonly #words: Words;
  readonly #room: RoomOptions;
  #present = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(words: Words, room: RoomOptions) {
    this.#words = words;
    this.#room = room;
    const details = this.#details;
    details.addEventListener("toggle", () => this.#refresh(0));
    details.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !details.open) return;
      details.open = false;
      details.querySelector("summary")?.focus();
    });
    document.addEventListener("click", ({ target }) => {
      if (target instanceof Node && !details.contains(target)) details.open = false;
    });
  }

  /** Shows the number of people. @param changed whether somebody joined or left, perhaps without changing the number */
  update(present: number, changed: boolean): void {
    if (present === this.#present && !changed) return;
    this.#present = present;
    this.#showCount(present);
    this.#refresh(INTERVAL_MS);
  }

  #showCount(present: number): void {
    const summary = this.#details.querySelector("summary");
    if (summary) summary.textContent = this.#words.here.replace("{n}", String(present));
  }

  /** Fetches the names after `ms`, unless that is due already. */
  #refresh(ms: number): void {
    if (!this.#details.open) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#fetch();
    }, ms);
  }

  async #fetch(): Promise<void> {
    const body = await getJson(this.#room, "who");
    // Without a reply the old list stays; the status line shows the connection.
    if (!isObject<{ users: unknown; count: unknown }>(body)) return;
    const { users, count } = body;
    if (!Array.isArray(users) || typeof count !== "number") return;
    this.#showCount(count);
    const names = users.filter((name) => typeof name === "string").slice(0, MAX_LISTED);
    const items = names.map((name) => {
      const mark = name === this.#room.user ? [" ", make("span", "quiet", this.#words.you)] : [];
      return make("li", "", make("bdi", "", name), ...mark);
    });
    const rest = count - names.length;
    if (rest > 0) items.push(make("li", "quiet", this.#words.more.replace("{n}", String(rest))));
    const list = this.#details.querySelector("ul");
    if (list) fill(list, ...items);
  }
}
