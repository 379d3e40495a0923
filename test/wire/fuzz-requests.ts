/**
 * Generated requests, in batches for one connection. In the first kind of batch every request has a correct length, so
 * each gets its reply. The second kind ends with arbitrary bytes.
 */
import fc from "fast-check";

/** The requests of one connection, sent without waiting. */
export interface Batch {
  readonly requests: readonly string[];
  /** Whether the last request is arbitrary bytes, so that the client ends the connection after it. */
  readonly wild: boolean;
}

const pick = fc.constantFrom<string[]>;
const words = (text: string) => text.split(" ");

const WORDS = [
  ...words(
    "__proto__ constructor toString prototype null NaN 0 -1 1e309 0-0 now 1- - ann ANN % %00 %zz {{u}}",
  ),
  ...words("../../etc/passwd ..%2f.. %c0%af %ed%a0%80 %F0%9F%98%80 %E2%80%AE <script> '\" "),
  ...["9007199254740993-9007199254740993", "99999999999999999999-99999999999999999999", "a".repeat(300)],
];

// Characters that Node's parser accepts in a target or a value. The arbitrary bytes have the rest.
const ascii = fc.string({ unit: pick(..."abzAZ019-._~!$&'()*+,;=:@/%?[]{}|^`<>\"\\"), maxLength: 30 });
const grapheme = fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => encodeURIComponent(text));
const word = fc.oneof({ weight: 3, arbitrary: pick(...WORDS) }, ascii, grapheme);
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString("latin1"));

const method = fc.oneof(
  { weight: 4, arbitrary: pick("GET", "POST") },
  pick("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"),
);
// Half of the requests have a valid cookie, or all would be 401.
const who = fc.oneof(fc.constant("WHO"), word);
const field = fc.tuple(fc.oneof(word, pick("client", "since", "wait", "key", "message")), word);
const query = fc
  .array(field, { maxLength: 4 })
  .map((fields) => fields.map((parts) => parts.join("=")).join("&"));
const route = pick("chatroom", "put_post", "put_post", "leave", "client", "login");
const path = fc.oneof(
  pick(...words("/ /login /logout /who /healthz /metrics /chat.css /client/page.js * // /.")),
  fc.tuple(route, who).map((parts) => `/${parts.join("/")}`),
  who.map((name) => `/chatroom/${name}/`),
  fc.array(word, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`),
);
// A poll that begins with these two is never held, because the first field of a name counts.
const poll = fc
  .tuple(who, pick("0", "0.001", "-0", "0x0", "1e-9", "", "61", "__proto__"), word)
  .map(([name, wait, since]) => [name.replaceAll("?", ""), wait, since.replaceAll("&", "")])
  .map(([name, wait, since]) => `/get_post/${name}?wait=${wait}&since=${since}`);
const target = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(path, query).map((parts) => parts.join("?")) },
  path,
  { weight: 2, arbitrary: fc.tuple(poll, query).map((parts) => parts.join("&")) },
  fc.tuple(path, query).map((parts) => `http://x${parts.join("?")}`),
);

const cookie = fc.oneof(
  { weight: 9, arbitrary: fc.constant("GOOD") },
  pick(...words("holdline holdline= holdline=. = ;;; holdline=__proto__.__proto__ holdline=e30.e30 ")),
  ascii.map((text) => `holdline=${text}`),
  word.map((text) => `${text}; GOOD`),
);
const FORM = "application/x-www-form-urlencoded";
const type = fc.oneof(
  { weight: 3, arbitrary: fc.constant(FORM) },
  { weight: 2, arbitrary: fc.constant("application/json") },
  pick("application/json; charset=utf-8", `${FORM}; charset=__proto__`, "text/plain", ";;", ""),
  fc.constant("multipart/form-data; boundary=x"),
);
const values = pick("*/*", "text/html", "gzip;q=NaN", "null", "https, http", "::1", "cross-site");
const value = fc.oneof(word, ascii, values);
const name = pick(
  ...words("Accept Accept-Language Accept-Encoding If-None-Match Idempotency-Key Origin Sec-Fetch-Site Via"),
  ...words("X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host Range Content-Encoding __proto__ Date TE"),
);
const header = fc.oneof(
  { weight: 2, arbitrary: cookie.map((text) => `Cookie: ${text}`) },
  fc.tuple(name, value).map((parts) => parts.join(": ")),
);

const json = fc.oneof(
  fc.json({ maxDepth: 3 }),
  pick(...words(`{"__proto__":{"message":"x"},"message":"y"} {"message":"m","key":"__proto__"} \ufeff{}`)),
  pick('{"name":"__proto__"}', '{"message":"\\ud800"}', '{"message":["x"]}', "[".repeat(5000)),
);
const body = fc.oneof(
  query,
  json.map((text) => Buffer.from(text).toString("latin1")),
  bytes,
  fc.tuple(pick("message=", "message=m&", "name=", "message=m&key="), word).map((parts) => parts.join("")),
  pick("%0A", "x", "%00", "%F0%9F%98%80").map((text) => `message=${text.repeat(2001)}`),
  fc.constantFrom(65_536, 65_537).map((length) => `message=m&x=${"y".repeat(length - 12)}`),
);

function framed(text: string, chunks: number): string {
  if (chunks === 0) return `Content-Length: ${text.length}\r\n\r\n${text}`;
  const size = Math.ceil(text.length / chunks) || 1;
  const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
  const coded = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join("");
  return `Transfer-Encoding: chunked\r\n\r\n${coded}0\r\n\r\n`;
}

const request = fc
  .tuple(method, target, fc.array(header, { maxLength: 4 }), fc.option(fc.tuple(type, body, fc.nat(3))))
  .map(([verb, to, headers, content]) => {
    // The valid cookies must stay valid: no request logs them out or in under another name.
    const cookies = /log(in|out)/.test(to) ? headers.map((line) => line.replace("GOOD", "x")) : headers;
    const head = [`${verb} ${to.replaceAll(" ", "")} HTTP/1.1`, "Host: x", ...cookies];
    if (!content) return `${head.join("\r\n")}\r\n\r\n`;
    const [contentType, text, chunks] = content;
    return `${[...head, `Content-Type: ${contentType}`].join("\r\n")}\r\n${framed(text, chunks)}`;
  });

const sign = pick("", "\0", "\r", "\n", "\r\n ", "\t", "\x7f", "\xff", ":", " ");
const upgrade = "Upgrade: x\r\nConnection: upgrade";
const line = pick("Content-Length: 3", "Transfer-Encoding: chunked", upgrade, "Expect: x");
/** A request whose bytes from a place on, some or all, are replaced or missing. */
const wild = fc.oneof(
  bytes,
  fc
    .tuple(request, fc.nat(), fc.oneof(bytes, sign), fc.constantFrom(0, 1, 5, Number.POSITIVE_INFINITY))
    .map(([text, nat, more, count]) => {
      const at = nat % text.length;
      return text.slice(0, at) + more + text.slice(at + count);
    }),
  fc.tuple(request, line).map(([text, more]) => text.replace("Host: x", `Host: x\r\n${more}`)),
);

const right = fc.array(request, { minLength: 12, maxLength: 12 });
const wrong = fc.tuple(fc.array(request, { maxLength: 3 }), wild);
/** Batches for `fc.sample`. */
export const batches: fc.Arbitrary<Batch> = fc.oneof(
  { weight: 3, arbitrary: right.map((requests) => ({ requests, wild: false })) },
  { weight: 2, arbitrary: wrong.map(([requests, last]) => ({ requests: [...requests, last], wild: true })) },
);

/** One request of a pipelined sequence: `WHO` and `GOOD` stand for a user and the cookie. */
export interface Step {
  readonly request: string;
  /** The text that the request posts, if any. */
  readonly text?: string;
  /** Whether the reply closes the connection, so that no later request is executed. */
  readonly closes: boolean;
}

const close = pick("", "", "", "Connection: close\r\n");
const unread = pick("\r\n", framed("hello", 0), framed("hello", 1), framed("u".repeat(70_000), 0));
const polls = ["since=0&wait=0", "since=now&wait=0.02", "since=0&wait=1", "since=now&wait=0.02&client=c"];
const paths = words("/nothing /login /who /healthz /chatroom/WHO/ /chat.css");
const COOKIE = "HTTP/1.1\r\nHost: x\r\nCookie: GOOD\r\n";
const read = fc
  .tuple(pick(...paths, ...polls.map((query) => `/get_post/WHO?${query}`)), close, unread)
  .map(([to, closing, body]): Step => {
    return { request: `GET ${to} ${COOKIE}${closing}${body}`, closes: closing !== "" };
  });
const posted = fc
  .tuple(pick("put_post", "put_post", "get_post"), close, fc.nat(2), fc.uuid())
  .map(([route, closing, chunks, text]): Step => {
    const head = `POST /${route}/WHO ${COOKIE}Content-Type: ${FORM}\r\n${closing}`;
    const request = head + framed(`message=${text}&since=0&wait=0.02`, chunks);
    return { request, closes: closing !== "", ...(route === "put_post" && { text }) };
  });
const tooLarge = fc.constantFrom(65_537, 80_000).map((length): Step => {
  const head = `POST /login ${COOKIE}Content-Type: ${FORM}\r\n`;
  return { request: head + framed("n".repeat(length), 0), closes: true };
});

/** Pipelined requests with large bodies, unread bodies, held polls and closing replies. */
export const sequences: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: read },
    { weight: 2, arbitrary: posted },
    { weight: 1, arbitrary: tooLarge },
  ),
  { minLength: 2, maxLength: 10 },
);
