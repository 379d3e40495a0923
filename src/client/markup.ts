/** Divides a text into words, links and code, and picks the colour of a name. Pure: server and browser render alike. */
import { linkify, type Piece } from "./linkify.js";

/** A piece of a text: words, a link or code. */
export interface Markup extends Piece {
  /** Present for code: `block` if it has lines of its own. */
  readonly code?: "inline" | "block";
}

/** A block between fences, whose first line may name the language, or code between two backticks in one line. */
const CODE = /```(?:[\w+#.-]*\n)?(.+?)\n?```|`([^`\n]+)`/gs;
/** Number of colours in chat.css. */
const COLOURS = 8;

/** Splits a text into pieces. Joined, they are the text without the marks of its code. */
export function markup(text: string): Markup[] {
  const pieces: Markup[] = [];
  let end = 0;
  for (const { 0: marked, 1: block, 2: inline = "", index } of text.matchAll(CODE)) {
    pieces.push(...linkify(text.slice(end, index)));
    pieces.push(block === undefined ? { text: inline, code: "inline" } : { text: block, code: "block" });
    end = index + marked.length;
  }
  return [...pieces, ...linkify(text.slice(end))];
}

/** Returns the classes of a name. The colour depends only on the name, so it is the same everywhere. */
export function nameClass(name: string): string {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (hash * 31 + name.charCodeAt(at)) % 1_000_003;
  return `user c${hash % COLOURS}`;
}
