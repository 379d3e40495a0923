/** What the room is compared with: a model of ten lines, and a store that shows it what was kept. */
import type { Cursor } from "../../src/room/backlog.js";
import type { Id } from "../../src/store/id.js";
import { MemoryStore } from "../../src/store/memory.js";
import type { Draft, Kept, Message } from "../../src/store/store.js";

/** What the room should do: all ids that were ever given out, of which the newest `limit` are kept. */
export class Model {
  readonly ids: Id[] = [];
  constructor(readonly limit: number) {}
  get floor(): number {
    return Math.max(0, this.ids.length - 1 - this.limit);
  }
  after(cursor: Cursor): { news: Id[]; gap: boolean } {
    const seen = cursor === "0" ? this.floor : this.ids.indexOf(cursor);
    return { news: this.ids.slice(Math.max(seen, this.floor) + 1), gap: seen < this.floor };
  }
}

/** A store that takes its time, and shows the model what it keeps and in which order. */
export class SlowStore extends MemoryStore {
  delay = 0;
  readonly #model: Model;
  constructor(model: Model) {
    super(model.limit);
    this.#model = model;
  }
  override async open(receive: (message: Message) => void): Promise<Kept> {
    const kept = await super.open((message) => {
      this.#model.ids.push(message.id);
      receive(message);
    });
    this.#model.ids.push(kept.floor);
    return kept;
  }
  override append(draft: Draft): Promise<Message> {
    if (this.delay === 0) return super.append(draft);
    return new Promise((resolve, reject) => {
      setTimeout(() => super.append(draft).then(resolve, reject), this.delay);
    });
  }
}
