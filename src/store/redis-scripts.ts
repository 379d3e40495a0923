/**
 * What happens in Redis, as scripts: each is one step that nobody sees half of. All keys of a room begin with its prefix:
 *
 *   messages  stream   what was said; `n` counts, so that a reader knows of a message it did not get
 *   count     number   the last `n`
 *   keys      hash     user and idempotency key → the message's id, for the newest messages
 *   keyed     zset     the same members by `n`, to forget the oldest
 *   names     hash     a name's key → its owner
 *   held      zset     a name's key → until when it is held for an owner who is not here
 *   here      zset     who is here → until when, unless their process says so again
 *   goodbyes  zset     who said good-bye → when that is told to the room
 *   plain     hash     who polls without a cursor → their cursor
 *   doors     stream   what processes tell each other of people; `n` as above, counted in `steps`
 *   secret    string   what session cookies are signed with
 *
 * Times are by Redis' clock, so those of the processes need not agree.
 */

import { NOTICES_UP_TO, RELOAD_TIME } from "./neighbours.js";

/** The keys, in the order in which scripts get them. */
export const KEYS = [
  "messages",
  "count",
  "keys",
  "keyed",
  "names",
  "held",
  "here",
  "goodbyes",
  "plain",
  "doors",
  "steps",
  "secret",
] as const;

/** So many events are kept for processes that are late. Who missed one reads everything anew. */
const EVENTS = 10_000;
/** So much is tidied up in one step, so that no step is long. */
const TIDY = 100;

const PRELUDE = `
local ${KEYS.join(", ")} = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- One more than is kept: the id before the oldest tells a gap.
local function say(keep, user, text, kind)
  local n = redis.call('INCR', count)
  local fields = {'n', n, 'user', user, 'text', text}
  if kind ~= '' then
    table.insert(fields, 'kind')
    table.insert(fields, kind)
  end
  return redis.call('XADD', messages, 'MAXLEN', '~', keep + 1, '*', unpack(fields)), n
end

local function tell(event)
  redis.call('XADD', doors, 'MAXLEN', '~', ${EVENTS}, '*', 'n', redis.call('INCR', steps), 'event', cjson.encode(event))
end

local function is_held(owner)
  if owner.id == '' then return false end
  return tonumber(redis.call('ZSCORE', held, owner.key) or 0) > now
    or tonumber(redis.call('ZSCORE', here, owner.name) or 0) > now
end

local function owner_of(key)
  local owner = redis.call('HGET', names, key)
  return owner and cjson.decode(owner)
end

local function set_owner(owner, grace)
  redis.call('HSET', names, owner.key, cjson.encode(owner))
  redis.call('ZADD', held, owner.id == '' and 0 or now + grace, owner.key)
end

-- Forgets a name that nobody holds, when there are too many.
local function make_room(most)
  if redis.call('HLEN', names) < most then return true end
  for _, key in ipairs(redis.call('ZRANGE', held, 0, ${TIDY - 1})) do
    local owner = owner_of(key)
    if not owner or not is_held(owner) then
      redis.call('HDEL', names, key)
      redis.call('ZREM', held, key)
      if owner then
        redis.call('HDEL', plain, owner.name)
        return true
      end
    end
  end
  return false
end
`;

/**
 * The start of a process, or of a new connection. A room that is not there yet begins now, and never before what the process
 * has seen, so that ids do not go back even when Redis has lost its data.
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

/** Takes a name, unless somebody else holds it. */
const claim = `
local mine, grace, most = cjson.decode(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local owner = owner_of(mine.key)
if owner and owner.id ~= mine.id and is_held(owner) then return 'taken' end
if not owner and not make_room(most) then return 'full' end
if owner and owner.since > mine.since then mine.since = owner.since end
if owner and owner.name ~= mine.name then redis.call('HDEL', plain, owner.name) end
set_owner(mine, grace)
tell({own = {mine}, people = {}})
return 'yours'
`;

/** What a process has to tell of its people, in order; and, now and then, who has been away for long enough. */
const people = `
local ask = cjson.decode(ARGV[1])
local own, heard, notices = {}, {}, {}
local function notice(user, kind)
  if redis.call('ZCARD', here) <= ${NOTICES_UP_TO} then table.insert(notices, {user, kind}) end
end
for _, change in ipairs(ask.own) do
  local mine, owner = change.owner, owner_of(change.owner.key)
  if owner and (change.was and owner.id ~= change.was or not change.was and owner.since >= mine.since) then
    table.insert(own, owner)
  elseif owner or make_room(ask.maxNames) then
    set_owner(mine, ask.grace)
    table.insert(own, mine)
  end
end
for _, hold in ipairs(ask.held) do
  if redis.call('HEXISTS', names, hold[1]) == 1 then redis.call('ZADD', held, hold[2] > 0 and now + hold[2] or 0, hold[1]) end
end
for _, person in ipairs(ask.people) do
  local user, how = person.user, person.how
  if how == 'here' then
    local was_here = redis.call('ZSCORE', here, user)
    redis.call('ZADD', here, 'GT', now + person.left, user)
    if not was_here then
      table.insert(heard, {'came', user})
      if redis.call('ZREM', goodbyes, user) == 0 then notice(user, 'join') end
    end
  else
    table.insert(heard, {'left', user, person.client})
    if redis.call('ZREM', here, user) == 1 then
      table.insert(heard, {'went', user})
      if how == 'log-out' then notice(user, 'leave') else redis.call('ZADD', goodbyes, now + ${RELOAD_TIME}, user) end
    end
  end
end
if ask.sweep then
  for _, user in ipairs(redis.call('ZRANGE', here, '-inf', now, 'BYSCORE', 'LIMIT', 0, ${TIDY})) do
    redis.call('ZREM', here, user)
    table.insert(heard, {'went', user})
    notice(user, 'leave')
  end
end
for _, user in ipairs(redis.call('ZRANGE', goodbyes, '-inf', now, 'BYSCORE', 'LIMIT', 0, ${TIDY})) do
  redis.call('ZREM', goodbyes, user)
  notice(user, 'leave')
end
-- In this order: who reads of somebody's going is not to find them here.
if #own + #heard > 0 then tell({from = ask.from, own = own, people = heard}) end
for _, one in ipairs(notices) do say(ask.keep, one[1], '', one[2]) end
return now
`;

/** Sets somebody's plain cursor, if it is the one that it is to be instead of. */
const remember = `
if ARGV[3] == '' or redis.call('HGET', plain, ARGV[1]) == ARGV[3] then redis.call('HSET', plain, ARGV[1], ARGV[2]) end
`;

/** The scripts by name. */
export const SCRIPTS = {
  begin: PRELUDE + begin,
  append: PRELUDE + append,
  claim: PRELUDE + claim,
  people: PRELUDE + people,
  remember: PRELUDE + remember,
};
export type Script = keyof typeof SCRIPTS;
