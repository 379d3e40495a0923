/** The Lua scripts: each is one step that no other process sees half of. */

/** How many changes are kept for processes that are late. A process that missed one reads everything again. */
const MAX_CHANGES = 10_000;
/** How many keys or names one step tidies up, so that no step is long. */
const MAX_TIDY = 100;

/** The keys of a room, in the order in which scripts get them; all begin with the room's prefix. Times are Redis' clock. */
export const KEYS = [
  "messages", // stream: the messages; `n` counts them, so that a reader notices a missing one
  "count", // number: the last `n`
  "keys", // hash: user and idempotency key → the id of the message, for the newest messages
  "keyed", // zset: the same members by `n`, to forget the oldest
  "owners", // hash: name key → the session that owns the name; the newest one stays, so older ones have ended
  "held", // zset: name key → when its lease ends
  "processes", // zset: process → when its heartbeat is overdue
  "changes", // stream: changes of owners and members; `n` as above
  "steps", // number: the last `n` of those
  "secret", // string: the secret that signs session cookies
  "accepted", // set: all secrets whose cookies are valid
] as const;

const PRELUDE = `
local ${KEYS.join(", ")} = unpack(KEYS)
local prefix = string.sub(messages, 1, -9)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function publish(change)
  local n = redis.call('INCR', steps)
  redis.call('XADD', changes, 'MAXLEN', '~', ${MAX_CHANGES}, '*', 'n', n, 'change', cjson.encode(change))
end

local function owner_of(key)
  local owner = redis.call('HGET', owners, key)
  return owner and cjson.decode(owner)
end

local function set_owner(session, ms)
  redis.call('HSET', owners, session.key, cjson.encode(session))
  redis.call('ZADD', held, session.id == '' and 0 or now + ms, session.key)
  publish({owner = session})
end

local function is_held(owner)
  return owner.id ~= '' and tonumber(redis.call('ZSCORE', held, owner.key) or 0) > now
end

-- Forgets a name whose lease has ended, if there are too many.
local function make_room(most)
  if redis.call('HLEN', owners) < most then return true end
  local key, ends = unpack(redis.call('ZRANGE', held, 0, 0, 'WITHSCORES'))
  if not key or tonumber(ends) > now then return false end
  redis.call('HDEL', owners, key)
  redis.call('ZREM', held, key)
  return true
end
`;

/**
 * The start of a connection. A room that does not exist begins now, and not before the newest id that the process has
 * seen, so ids never go back, even if Redis has lost its data.
 */
const begin = `
local seen, fresh = ARGV[1], ARGV[2]
redis.call('SET', secret, fresh, 'NX')
for i = 3, #ARGV do redis.call('SADD', accepted, ARGV[i]) end
redis.call('SADD', accepted, redis.call('GET', secret))
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
local at = redis.call('EXISTS', changes) == 1 and last_id(changes) or '0-0'
local newest = redis.call('XRANGE', messages, seen, seen)[1] and 1 or 0
return {now, redis.call('GET', count) or '0', at, redis.call('GET', steps) or '0', newest, redis.call('SMEMBERS', accepted), redis.call('GET', secret)}
`;

/** Keeps a message, once for each user and key. Returns its id, text and kind, or nothing if it comes too late. */
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
local n = redis.call('INCR', count)
-- One more than is kept: the id before the oldest one tells a gap.
local id = redis.call('XADD', messages, 'MAXLEN', '~', keep + 1, '*', 'n', n, 'user', user, 'text', text, 'kind', kind)
redis.call('HSET', keys, key, id)
redis.call('ZADD', keyed, n, key)
local old = redis.call('ZRANGE', keyed, '-inf', n - keep, 'BYSCORE', 'LIMIT', 0, ${MAX_TIDY})
if #old > 0 then
  redis.call('HDEL', keys, unpack(old))
  redis.call('ZREM', keyed, unpack(old))
end
return {id, text, kind}
`;

/** Takes a name. Returns the session that owns it then, `taken` or `full`, or nothing if it comes too late. */
const claim = `
local deadline, mine, instead, ms, most, form =
  tonumber(ARGV[1]), cjson.decode(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if now > deadline then return false end
local owner = owner_of(mine.key)
local same = owner and owner.id ~= '' and string.sub(owner.id, 1, form) == string.sub(mine.id, 1, form)
if owner and not same and owner.id ~= instead and is_held(owner) then return 'taken' end
if not owner and not make_room(most) then return 'full' end
if owner and owner.since > mine.since then mine.since = owner.since end
if same then
  mine.id = owner.id
  mine.name = owner.name
end
set_owner(mine, ms)
return cjson.encode(mine)
`;

/** Checks a session that is new to a process, and takes its name if no newer session has it. Returns 1 if it is valid. */
const verify = `
local mine, ms, most = cjson.decode(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local owner = owner_of(mine.key)
if owner and owner.id == mine.id then return 1 end
if owner and owner.since >= mine.since then return 0 end
if not owner and not make_room(most) then return 0 end
set_owner(mine, ms)
return 1
`;

/**
 * The heartbeat of a process, with what has changed on it: sessions that ended, leases to renew, members who are present
 * now or not any more, and closed pages. Returns the time, whether the process was known, the live processes, the
 * accepted secrets, and the one that signs.
 */
const sync = `
local ask = cjson.decode(ARGV[1])
local mine = prefix .. 'members:' .. ask.from
local known = redis.call('ZSCORE', processes, ask.from) and 1 or 0
for _, ended in ipairs(ask.ended) do
  local owner = owner_of(ended.session.key)
  if owner and owner.id == ended.session.id then
    local heir = ended.session
    heir.id = ended.heir
    heir.since = math.max(owner.since, ended.since)
    set_owner(heir, ask.grace)
  end
end
for _, lease in ipairs(ask.leases) do
  local session, owner = lease.session, owner_of(lease.session.key)
  if owner and owner.id == session.id then
    -- Another process may hold the name for longer. 0 frees it.
    if lease.ms == 0 then redis.call('ZADD', held, 0, session.key)
    else redis.call('ZADD', held, 'GT', now + lease.ms, session.key) end
  elseif (not owner and make_room(ask.maxNames)) or (owner and owner.since < session.since) then
    set_owner(session, lease.ms)
  end
end
if ask.reset then redis.call('DEL', mine) end
for _, joined in ipairs(ask.joined) do redis.call('HSET', mine, joined[1], joined[2]) end
for _, left in ipairs(ask.left) do redis.call('HDEL', mine, left[1]) end
redis.call('PEXPIRE', mine, ask.ttl)
redis.call('ZADD', processes, now + ask.ttl, ask.from)
for _, dead in ipairs(redis.call('ZRANGE', processes, '-inf', '(' .. now, 'BYSCORE')) do
  redis.call('ZREM', processes, dead)
  redis.call('DEL', prefix .. 'members:' .. dead)
end
if ask.reset or #ask.joined + #ask.left + #ask.unloaded > 0 then
  publish({from = ask.from, reset = ask.reset, joined = ask.joined, left = ask.left, unloaded = ask.unloaded})
end
return {now, known, redis.call('ZRANGE', processes, 0, -1), redis.call('SMEMBERS', accepted), redis.call('GET', secret)}
`;

/** The process ends: its members are not present on it any more. */
const quit = `
redis.call('ZREM', processes, ARGV[1])
redis.call('DEL', prefix .. 'members:' .. ARGV[1])
return 1
`;

/** The scripts by name. */
export const SCRIPTS = {
  begin: PRELUDE + begin,
  append: PRELUDE + append,
  claim: PRELUDE + claim,
  verify: PRELUDE + verify,
  sync: PRELUDE + sync,
  quit: PRELUDE + quit,
};
export type Script = keyof typeof SCRIPTS;
