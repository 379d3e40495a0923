/** The Lua scripts. Each one is atomic: no other process sees a part of it. All times are those of Redis' clock. */

/** How many old messages one append removes, so that no script takes long. */
const MAX_PRUNED = 100;

/** The keys of a room, in the order in which scripts get them. Every process reads the two streams. */
export const KEYS = [
  "messages", // stream: prev (the id of the entry before, so that a reader notices a missing one), user, text, kind, key
  "changes", // stream: new owners of names (key, name, id, since), and heartbeats, see presence.ts
  "keys", // hash: user and idempotency key → the id of a kept message
  "owners", // hash: name key → the session that took the name last; it stays, so older sessions stay ended
  "leases", // zset: name key → when its lease ends
  "secrets", // zset: the secrets of session cookies by age; the oldest one signs, all are accepted
] as const;

/**
 * `newest` returns the id of a stream's newest entry. An empty stream gets a mark, which is an entry without content.
 * `make_room` forgets the name whose lease ended first, if there are too many names.
 */
const PRELUDE = `
local ${KEYS.join(", ")} = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function newest(stream)
  local entry = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or redis.call('XADD', stream, '*', 'prev', '0-0')
end

local function owner_of(key)
  local owner = redis.call('HGET', owners, key)
  return owner and cjson.decode(owner)
end

local function set_owner(owner, ms)
  redis.call('HSET', owners, owner.key, cjson.encode(owner))
  redis.call('ZADD', leases, now + ms, owner.key)
  redis.call('XADD', changes, '*', 'key', owner.key, 'name', owner.name, 'id', owner.id, 'since', owner.since)
end

local function make_room(most)
  if redis.call('HLEN', owners) < most then return true end
  local key, ends = unpack(redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES'))
  if not key or tonumber(ends) > now then return false end
  redis.call('HDEL', owners, key)
  redis.call('ZREM', leases, key)
  return true
end
`;

/**
 * Compares the room with what a process knows: the newest ids that it has read, a new secret, and its accepted ones. If
 * Redis has lost entries, a mark is added after those that were lost; `XSETID` fails if an id is before the newest one.
 * Returns the time, the newest ids, and the secrets.
 */
const sync = `${PRELUDE}
local last = {}
for n = 1, 2 do
  last[n] = newest(KEYS[n])
  if last[n] ~= ARGV[n] and redis.pcall('XSETID', KEYS[n], ARGV[n]).ok then
    last[n] = redis.call('XADD', KEYS[n], '*', 'prev', last[n])
  end
end
for n = 4, #ARGV do redis.call('ZADD', secrets, 'NX', now, ARGV[n]) end
if redis.call('ZCARD', secrets) == 0 then redis.call('ZADD', secrets, now, ARGV[3]) end
return {now, last[1], last[2], unpack(redis.call('ZRANGE', secrets, 0, -1))}
`;

/** Keeps a message, once for each idempotency key. Returns its id, text and kind, or nothing if the deadline has passed. */
const append = `${PRELUDE}
local deadline, keep, user, text, kind, key = tonumber(ARGV[1]), tonumber(ARGV[2]), unpack(ARGV, 3)
if now > deadline then return false end
local id = redis.call('HGET', keys, key)
local kept = id and redis.call('XRANGE', messages, id, id)[1]
if kept then return {id, kept[2][6], kept[2][8]} end
local prev, length = newest(messages), redis.call('XLEN', messages)
if length >= keep then
  for _, old in ipairs(redis.call('XRANGE', messages, '-', '+', 'COUNT', math.min(length - keep + 1, ${MAX_PRUNED}))) do
    if old[2][10] then redis.call('HDEL', keys, old[2][10]) end
    length = length - 1
  end
end
id = redis.call('XADD', messages, 'MAXLEN', length + 1, '*',
  'prev', prev, 'user', user, 'text', text, 'kind', kind, 'key', key)
redis.call('HSET', keys, key, id)
return {id, text, kind}
`;

/**
 * Takes a name. Returns the id, name and time of the session that owns it then, or `taken`, or `full`, or nothing if the
 * deadline has passed.
 */
const claim = `${PRELUDE}
local deadline, mine, instead, lease, most, form =
  tonumber(ARGV[1]), cjson.decode(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if now > deadline then return false end
local owner = owner_of(mine.key)
if owner then
  local same_form = owner.id ~= '' and string.sub(owner.id, 1, form) == string.sub(mine.id, 1, form)
  local held = owner.id ~= '' and tonumber(redis.call('ZSCORE', leases, owner.key) or 0) > now
  if held and not same_form and owner.id ~= instead then return {'taken'} end
  mine.since = math.max(mine.since, owner.since)
  if same_form then mine.id, mine.name = owner.id, owner.name end
elseif not make_room(most) then return {'full'} end
set_owner(mine, lease)
return {mine.id, mine.name, mine.since}
`;

/**
 * Renews leases. A renewed session takes its name if no newer session has it; one without an id ends all older ones. 0 ms
 * frees the name; otherwise a lease is never made shorter, because another process may hold the name, too. Returns the
 * owners of the names that could not be renewed.
 */
const renew = `${PRELUDE}
local most, refused = tonumber(ARGV[2]), {}
for _, lease in ipairs(cjson.decode(ARGV[1])) do
  local session, ms = unpack(lease)
  local owner = owner_of(session.key)
  if owner and owner.id == session.id and owner.since >= session.since then
    if ms == 0 then redis.call('ZADD', leases, 0, session.key)
    else redis.call('ZADD', leases, 'GT', now + ms, session.key) end
  elseif owner and owner.since >= session.since then
    table.insert(refused, {owner.key, owner.name, owner.id, owner.since})
  elseif owner or make_room(most) then set_owner(session, ms)
  else table.insert(refused, {session.key, session.name, '', 0}) end
end
return refused
`;

/** The scripts by name. They are sent in full, so a Redis that was restarted or replaced needs no preparation. */
export const SCRIPTS = { sync, append, claim, renew };
