/** The options and the states of the client, for any feed and for the chat. */

/** Options of all requests. */
export interface RequestOptions {
  /** Used instead of the global `fetch`. It must obey its `signal`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Headers of every request. In Node the session's `cookie` belongs here; a browser sends its own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends every request and every pause of the client. */
  readonly signal?: AbortSignal;
  /** Target of `online`, `offline` and `visibilitychange`. The window by default, if there is one. */
  readonly events?: EventTarget;
}

/** The chat, and the user in it. */
export interface RoomOptions extends RequestOptions {
  /** Address where the chat is mounted: `"../../"` in its page, `"http://127.0.0.1:5000/"` elsewhere. */
  readonly base: string;
  /** The name that the user has logged in with. */
  readonly user: string;
}

/**
 * Why polling has ended. `superseded`: a newer poll has the same `client`. `no_session`: log in again. `not_you`: the
 * session is another user's. `refused`: the server refuses for another reason. `aborted`: by the signal.
 */
export type StopReason = "superseded" | "no_session" | "not_you" | "refused" | "aborted";

/**
 * The state of the poll. While `waiting`, the next attempt is at `until` (ms since the Unix epoch), or sooner after a
 * wake-up. `code` is the reason: an error code of the protocol, `unreachable` (no reply) or `bad_answer` (a reply that is
 * not the protocol's, such as a firewall's page). `message` is English, for a log.
 */
export type State =
  | { readonly name: "connecting" | "live" }
  | { readonly name: "waiting"; readonly until: number; readonly code: string; readonly message: string }
  | { readonly name: "stopped"; readonly reason: StopReason; readonly message: string };

/** Options of a poll. */
export interface PollOptions extends RequestOptions {
  /** A cursor, `"0"` for everything that is kept, or `"now"` (default) for what comes next. */
  readonly since?: string;
  /**
   * Longest time that the server holds a poll: 1 to 60 seconds, default 25. Polls are shorter while a proxy cuts them. If
   * it cuts even those of a second, there is a poll without a wait every second.
   */
  readonly wait?: number;
  /** Time that a poll may outlive its wait before it is cut: 1 to 60 seconds, default 10. */
  readonly timeoutSlack?: number;
  /** Id of this poll; a newer poll with the same id supersedes it. At most 64 of `[A-Za-z0-9_-]`, random by default. */
  readonly client?: string;
  /** Called on each change of state. */
  readonly onState?: (state: State) => void;
}

/** The position in the feed after a reply. */
export interface Position {
  /** Pass it as `since` to continue from here. */
  readonly cursor: string;
  /** Present if events before these are missing, or if the feed has another history. */
  readonly gap?: true;
}
