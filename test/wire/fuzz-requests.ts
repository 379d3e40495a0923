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

const WORDS = [
  ..."__proto__ constructor toString hasOwnProperty prototype null undefined NaN 0 -1 1e309 0-0 now 1- - ann ANN".split(
    " ",
  ),
  ..."../../etc/passwd ..%2f.. %00 % %zz %c0%af %ed%a0%80 %F0%9F%98%80 %E2%80%AE <script> '\" {{user}} #{7*7}".split(
    " ",
  ),
  ...["9007199254740993-9007199254740993", "99999999999999999999-99999999999999999999", "a".repeat(300), ""],
];

// Characters that Node's parser accepts in a target or a value. The arbitrary bytes have the rest.
const ascii = fc.string({
  unit: fc.constantFrom(..."abzAZ019-._~!$&'()*+,;=:@/%?[]{}|^`<>\"\\"),
  maxLength: 30,
});
const word = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...WORDS) },
  ascii,
  fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => encodeURIComponent(text)),
);
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString("latin1"));

const method = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("GET", "POST") },
  fc.constantFrom("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"),
);
// Half of the requests have a valid cookie, or all would be 401.
const who = fc.oneof(fc.constant("WHO"), word);
const query = fc
  .array(fc.tuple(fc.oneof(word, fc.constantFrom("client", "since", "wait", "key", "message")), word), {
    maxLength: 4,
  })
  .map((fields) => fields.map(([name, value]) => `${name}=${value}`).join("&"));
const path = fc.oneof(
  fc.constantFrom(
    "/",
    "/login",
    "/logout",
    "/who",
    "/healthz",
    "/metrics",
    "/chat.css",
    "/client/page.js",
    "*",
    "//",
    "/.",
  ),
  fc
    .tuple(fc.constantFrom("chatroom", "put_post", "put_post", "leave", "client", "login"), who)
    .map((parts) => `/${parts.join("/")}`),
  who.map((name) => `/chatroom/${name}/`),
  fc.array(word, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`),
);
// A poll that begins with these two is never held, because the first field of a name counts.
const poll = fc
  .tuple(who, fc.constantFrom("0", "0.001", "-0", "0x0", "1e-9", "", "61", "__proto__"), word)
  .map(
    ([name, wait, since]) =>
      `/get_post/${name.replaceAll("?", "")}?wait=${wait}&since=${since.replaceAll("&", "")}`,
  );
const target = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(path, query).map((parts) => parts.join("?")) },
  path,
  { weight: 2, arbitrary: fc.tuple(poll, query).map((parts) => parts.join("&")) },
  fc.tuple(path, query).map((parts) => `http://x${parts.join("?")}`),
);

const cookie = fc.oneof(
  { weight: 9, arbitrary: fc.constant("GOOD") },
  fc.constantFrom(
    "",
    "holdline",
    "holdline=",
    "holdline=.",
    "=",
    ";;;",
    "holdline=__proto__.__proto__",
    "holdline=e30.e30",
  ),
  ascii.map((text) => `holdline=${text}`),
  word.map((text) => `${text}; GOOD`),
);
const type = fc.constantFrom(
  "application/x-www-form-urlencoded",
  "application/x-www-form-urlencoded",
  "application/x-www-form-urlencoded",
  "application/json",
  "application/json",
  "application/json; charset=utf-8",
  "application/x-www-form-urlencoded; charset=__proto__",
  "text/plain",
  "multipart/form-data; boundary=x",
  ";;",
  "",
);
const value = fc.oneof(
  word,
  ascii,
  fc.constantFrom("*/*", "text/html", "gzip;q=NaN", "null", "https, http", "::1", "cross-site"),
);
const header = fc.oneof(
  { weight: 2, arbitrary: cookie.map((text) => `Cookie: ${text}`) },
  fc
    .tuple(
      fc.constantFrom(
        ..."Accept Accept-Language Accept-Encoding If-None-Match Idempotency-Key Origin Sec-Fetch-Site Referer".split(
          " ",
        ),
        ..."X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host Range Content-Encoding __proto__ Date TE Via".split(
          " ",
        ),
      ),
      value,
    )
    .map((parts) => parts.join(": ")),
);

const json = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.constantFrom(
    '{"__proto__":{"message":"x"},"message":"y"}',
    '{"message":"m","key":"__proto__"}',
    '{"name":"__proto__"}',
    '{"constructor":"x","message":"\\ud800"}',
    '{"message":["x"]}',
    `${"[".repeat(5000)}`,
    "\ufeff{}",
  ),
);
const body = fc.oneof(
  query,
  json.map((text) => Buffer.from(text).toString("latin1")),
  bytes,
  word.map((text) => `message=${text}`),
  word.map((text) => `message=m&${text}=${text}`),
  fc.constantFrom("%0A", "x", "%00", "%F0%9F%98%80").map((text) => `message=${text.repeat(2001)}`),
  fc.constantFrom(65_536, 65_537).map((length) => `message=m&x=${"y".repeat(length - 12)}`),
  word.map((text) => `name=${text}`),
  word.map((text) => `message=m&key=${text}`),
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

/** A request with inserted, removed, doubled or truncated bytes, or only bytes. */
const wild = fc.oneof(
  bytes,
  fc.tuple(request, fc.nat(), bytes).map(([text, at, more]) => text.slice(0, at % text.length) + more),
  fc.tuple(request, fc.nat(), bytes).map(([text, at, more]) => {
    const place = at % text.length;
    return text.slice(0, place) + more + text.slice(place);
  }),
  fc.tuple(request, fc.nat(), fc.nat(9)).map(([text, at, count]) => {
    const place = at % text.length;
    return text.slice(0, place) + text.slice(place + count);
  }),
  fc
    .tuple(request, fc.nat(), fc.constantFrom("\0", "\r", "\n", "\r\n ", "\t", "\x7f", "\xff", ":", " "))
    .map(([text, at, sign]) => {
      const place = at % text.length;
      return text.slice(0, place) + sign + text.slice(place + 1);
    }),
  fc
    .tuple(
      request,
      fc.constantFrom(
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Upgrade: x\r\nConnection: upgrade",
        "Expect: x",
      ),
    )
    .map(([text, line]) => text.replace("Host: x", `Host: x\r\n${line}`)),
);

/** Batches for `fc.sample`. */
export const batches: fc.Arbitrary<Batch> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .array(request, { minLength: 12, maxLength: 12 })
      .map((requests) => ({ requests, wild: false })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.array(request, { maxLength: 3 }), wild)
      .map(([requests, last]) => ({ requests: [...requests, last], wild: true })),
  },
);

/** One request of a pipelined sequence: `WHO` and `GOOD` stand for a user and the cookie. */
export interface Step {
  readonly request: string;
  /** The text that the request posts, if any. */
  readonly text?: string;
  /** Whether the reply closes the connection, so that no later request is executed. */
  readonly closes: boolean;
}

const FORM = "Content-Type: application/x-www-form-urlencoded";
const close = fc.constantFrom("", "", "", "Connection: close\r\n");
const unread = fc.constantFrom(
  "\r\n",
  "Content-Length: 5\r\n\r\nhello",
  "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  `Content-Length: 70000\r\n\r\n${"u".repeat(70_000)}`,
);
const paths = "/nothing /login /who /healthz /chatroom/WHO/ /chat.css".split(" ");
const polls = ["since=0&wait=0", "since=now&wait=0.02", "since=0&wait=1", "since=now&wait=0.02&client=c"];
const posted = fc
  .tuple(fc.constantFrom("put_post", "put_post", "get_post"), close, fc.nat(2))
  .map(([route, closing, chunks]) => (text: string): Step => {
    const head = `POST /${route}/WHO HTTP/1.1\r\nHost: x\r\nCookie: GOOD\r\n${FORM}\r\n${closing}`;
    const request = head + framed(`message=${text}&since=0&wait=0.02`, chunks);
    return { request, closes: closing !== "", ...(route === "put_post" && { text }) };
  });
const tooLarge = fc
  .constantFrom(65_537, 80_000)
  .map((length) => `POST /login HTTP/1.1\r\nHost: x\r\n${FORM}\r\n${framed("n".repeat(length), 0)}`)
  .map((request) => (): Step => ({ request, closes: true }));
const read = fc
  .tuple(fc.constantFrom(...paths, ...polls.map((query) => `/get_post/WHO?${query}`)), close, unread)
  .map(([to, closing, body]) => (): Step => {
    const request = `GET ${to} HTTP/1.1\r\nHost: x\r\nCookie: GOOD\r\n${closing}${body}`;
    return { request, closes: closing !== "" };
  });

/** Pipelined requests with large bodies, unread bodies, held polls and closing replies. */
export const sequences: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: read },
        { weight: 2, arbitrary: posted },
        { weight: 1, arbitrary: tooLarge },
      ),
      { minLength: 2, maxLength: 10 },
    ),
    fc.uuid(),
  )
  .map(([steps, id]) => steps.map((step, n) => step(`${n}-${id}`)));
