/** What happens in Redis, as scripts: each is one step that nobody sees half of. */
import { COMMON, claim, people, TIDY } from "./people-scripts.js";

/**
 * The keys of a room, in the order in which scripts get them; all begin with its prefix. Times are by Redis' clock, so
 * those of the processes need not agree.
 */
export const KEYS = [
  "messages", // stream: what was said; `n` counts, so that a reader knows of a message it did not get
  "count", // number: the last `n`
  "keys", // hash: user and idempotency key → the message's id, for the newest messages
  "keyed", // zset: the same members by `n`, to forget the oldest
  "names", // hash: a name's key → its owner
  "held", // zset: a name's key → until when it is held for an owner who is not here
  "here", // zset: who is here → until when, unless their process says so again
  "goodbyes", // zset: who said good-bye → when that is told to the room
  "doors", // stream: what processes tell each other of people; `n` as above
  "steps", // number: the last `n` of those
  "secret", // string: what session cookies are signed with
] as const;

const PRELUDE = `
local ${KEYS.join(", ")} = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- One more than is kept: the id before the oldest tells a gap.
local function say(keep, user, text, kind)
  local n = redis.call('INCR', count)
  local limit = keep + 1
  return redis.call('XADD', messages, 'MAXLEN', '~', limit, '*', 'n', n, 'user', user, 'text', text, 'kind', kind), n
end
`;

/**
 * The start of a process, or of a new connection. A room that is not there yet begins now, and never before what the
 * process has seen, so that ids do not go back even when Redis has lost its data.
 */
const begin = `
local seen, secret_new = ARGV[1], ARGV[2]
redis.call('SET', secret, secret_new, 'NX')
local function last_id(stream)
  local about = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then return about[i + 1] end
  end
end
local function ms(id) return tonumber(string.match(id, '^%d+')) end
local function before(a, b)
  if ms(a) ~= ms(b) then return ms(a) < ms(b) end
  return tonumber(string.match(a, '%d+$')) < tonumber(string.match(b, '%d+$'))
end
if redis.call('EXISTS', messages) == 0 then
  local start = string.format('%d-0', now)
  if before(start, seen) then start = seen end
  redis.call('XADD', messages, start, 'begin', 1)
  redis.call('XDEL', messages, start)
elseif before(last_id(messages), seen) then
  redis.call('XSETID', messages, seen)
end
local heard = redis.call('EXISTS', doors) == 1 and last_id(doors) or '0-0'
return {now, redis.call('GET', secret), redis.call('GET', count) or '0', heard, redis.call('GET', steps) or '0'}
`;

/** Keeps a message, once for each user and key. Gives its id, text and kind, or nothing when it comes too late. */
const append = `
local deadline, keep, user, text, kind, key =
  tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[3] .. '\\n' .. ARGV[6]
if now > deadline then return false end
local first = redis.call('HGET', keys, key)
if first then
  local entry = redis.call('XRANGE', messages, first, first)[1]
  if entry then
    local kept = {}
    for i = 1, #entry[2], 2 do kept[entry[2][i]] = entry[2][i + 1] end
    return {first, kept.text, kept.kind or ''}
  end
end
local id, n = say(keep, user, text, kind)
redis.call('HSET', keys, key, id)
redis.call('ZADD', keyed, n, key)
local old = redis.call('ZRANGE', keyed, '-inf', n - keep, 'BYSCORE', 'LIMIT', 0, ${TIDY})
if #old > 0 then
  redis.call('HDEL', keys, unpack(old))
  redis.call('ZREM', keyed, unpack(old))
end
return {id, text, kind}
`;

/** The scripts by name. */
export const SCRIPTS = {
  begin: PRELUDE + begin,
  append: PRELUDE + append,
  claim: PRELUDE + COMMON + claim,
  people: PRELUDE + COMMON + people,
};
export type Script = keyof typeof SCRIPTS;
