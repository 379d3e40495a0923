/** Who is here: the number always, the names when one looks. */
import { byId, make, type Words } from "./dom.js";
import { isObject, type RoomOptions, request } from "./request.js";

/** So many names are listed; the rest is a number. */
const LISTED = 200;
/** While the list is open it is asked for at most this often (ms), however many come and go. */
const PAUSE = 2000;

export class People {
  readonly #details = byId("people", HTMLDetailsElement);
  readonly #words: Words;
  readonly #room: RoomOptions;
  #present = -1;
  #stale = false;
  #asking = false;

  constructor(words: Words, room: RoomOptions) {
    this.#words = words;
    this.#room = room;
    const details = this.#details;
    details.addEventListener("toggle", () => this.#ask());
    details.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !details.open) return;
      details.open = false;
      details.querySelector("summary")?.focus();
    });
    document.addEventListener("click", ({ target }) => {
      if (target instanceof Node && !details.contains(target)) details.open = false;
    });
  }

  /** Tells how many are here, and whether somebody came or went, which may leave the number as it was. */
  update(present: number, changed: boolean): void {
    if (present === this.#present && !changed) return;
    this.#present = present;
    this.#count(present);
    this.#stale = true;
    this.#ask();
  }

  #count(present: number): void {
    const summary = this.#details.querySelector("summary");
    if (summary) summary.textContent = this.#words.here.replace("{n}", String(present));
  }

  #ask(): void {
    if (!this.#details.open || this.#asking) return;
    this.#asking = true;
    this.#stale = false;
    void this.#fetch().finally(() => {
      setTimeout(() => {
        this.#asking = false;
        if (this.#stale) this.#ask();
      }, PAUSE);
    });
  }

  async #fetch(): Promise<void> {
    const answer = await request(this.#room, "who", { signal: AbortSignal.timeout(10_000) });
    // Without an answer the old list stays; the connection's state is told elsewhere.
    if (!isObject<{ users: unknown; count: unknown }>(answer?.body)) return;
    const { users, count } = answer.body;
    if (!Array.isArray(users) || typeof count !== "number") return;
    this.#count(count);
    const names = users.filter((name) => typeof name === "string").slice(0, LISTED);
    const items = names.map((name) => make("li", "", make("bdi", "", name)));
    const rest = count - names.length;
    if (rest > 0) items.push(make("li", "quiet", this.#words.more.replace("{n}", String(rest))));
    this.#details.querySelector("ul")?.replaceChildren(...items);
  }
}
