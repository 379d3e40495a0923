/**
 * The Lua scripts. Each one is atomic: no other process sees a part of it. All times but `since` are by Redis' clock. The first
 * argument is a deadline. After it a script does nothing and returns nothing, because its caller has given up. Otherwise
 * the first result is the time.
 */
import type { Id } from "../../feed/id.js";
import { FORM_ID_LENGTH } from "../store.js";

/** How many messages are pruned at a time, so that no script takes long. */
const MAX_PRUNED = 5_000;
/** How many changes are kept: those of many minutes, far more than any process is behind. */
const MAX_CHANGES = 100_000;

/**
 * The keys of a room, in the order in which scripts get them. Every process reads the two streams.
 * - `messages`, a stream: `prev` (the id of the entry before, so that a reader notices a missing one), `user`, `text`, `kind`, `key`.
 * - `changes`, a stream: `owner` (a session as JSON, which took its name), or `beat` (a heartbeat as JSON, see cluster.ts).
 * - `keys`, a hash: user and idempotency key → the id of a kept message.
 * - `owners`, a hash: name key → the session that took the name last; it stays, so older sessions stay ended.
 * - `leases`, a sorted set: name key → when its lease ends.
 * - `secrets`, a sorted set: the secrets of session cookies by age; the oldest one signs, all are accepted.
 */
export const KEYS = ["messages", "changes", "keys", "owners", "leases", "secrets"] as const;

/** An entry of a stream. One of messages without a `user` is a mark. */
export type Entry = { readonly id: Id; readonly fields: Readonly<Record<string, string>> };

/**
 * `newest` returns the id of the newest message. An empty stream gets a mark, which is an entry without content.
 * `make_room` forgets the name whose lease ended first, if there are too many names.
 */
export const PRELUDE = `
local ${KEYS.join(", ")} = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[1]) then return false end

local function newest()
  local entry = redis.call('XREVRANGE', messages, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or redis.call('XADD', messages, '*', 'prev', '0-0')
end

local function owner_of(key)
  return cjson.decode(redis.call('HGET', owners, key) or 'false')
end

local function set_owner(owner, ms)
  local text = cjson.encode(owner)
  redis.call('HSET', owners, owner.key, text)
  redis.call('ZADD', leases, now + ms, owner.key)
  redis.call('XADD', changes, '*', 'owner', text)
  return text
end

local function make_room(most)
  if redis.call('HLEN', owners) < tonumber(most) then return true end
  local key = redis.call('ZRANGEBYSCORE', leases, 0, now, 'LIMIT', 0, 1)[1]
  return key and redis.call('ZREM', leases, key) and redis.call('HDEL', owners, key)
end
`;

/**
 * Compares the room with what a process knows: the newest id that it has read, a new secret, and its accepted ones. If Redis
 * has lost messages, a mark is added after those that were lost; `XSETID` fails if the id is before the newest one. Prunes
 * the messages beyond the newest `keep`. Returns an id before all later changes, also those of this millisecond, and the
 * secrets. An entry is its id and a list of names and values: `entry[2][10]` is the value of `key`.
 */
const sync = `
local last, keep = newest(), ARGV[3]
if last ~= ARGV[2] and redis.pcall('XSETID', messages, ARGV[2]).ok then
  redis.call('XADD', messages, '*', 'prev', last)
end
local excess = math.min(redis.call('XLEN', messages) - keep, ${MAX_PRUNED})
for _, old in ipairs(redis.call('XRANGE', messages, '-', '+', 'COUNT', math.max(excess, 0)) or {}) do
  redis.call('XDEL', messages, old[1])
  redis.call('HDEL', keys, old[2][10] or '')
end
for n = 5, #ARGV do redis.call('ZADD', secrets, 'NX', now, ARGV[n]) end
if redis.call('ZCARD', secrets) == 0 then redis.call('ZADD', secrets, now, ARGV[4]) end
return {now, now - 1 .. '-0', unpack(redis.call('ZRANGE', secrets, 0, -1))}
`;

/** Keeps a message, once for each idempotency key. Returns its id, text (`entry[2][6]`) and kind (`entry[2][8]`). */
const append = `
local user, text, kind, key = unpack(ARGV, 2)
local id = redis.call('HGET', keys, key)
local kept = id and redis.call('XRANGE', messages, id, id)[1]
if kept then return {now, id, kept[2][6], kept[2][8]} end
id = redis.call('XADD', messages, '*', 'prev', newest(), 'user', user, 'text', text, 'kind', kind, 'key', key)
redis.call('HSET', keys, key, id)
return {now, id, text, kind}
`;

/**
 * Takes a name. Returns a `ClaimResult` as JSON: the session that owns it then, which is the earlier one if both came from
 * one form. A name is taken if another session holds it and is not the one to be replaced.
 */
const claim = `
local mine, replaced, lease, most = cjson.decode(ARGV[2]), unpack(ARGV, 3)
local owner = owner_of(mine.key)
if owner then
  local function form(session) return string.sub(session.id, 1, ${FORM_ID_LENGTH}) end
  if form(owner) == form(mine) then return {now, cjson.encode(owner)} end
  local is_held = tonumber(redis.call('ZSCORE', leases, owner.key) or 0) > now
  if is_held and owner.id ~= replaced then return {now, '"taken"'} end
  mine.since = math.max(mine.since, owner.since)
elseif not make_room(most) then return {now, '"full"'} end
return {now, set_owner(mine, lease)}
`;

/**
 * Renews leases, and publishes a heartbeat if there is one. A renewed session takes its name if no newer session has it; one
 * without an id ends all older ones. 0 ms frees the name; otherwise a lease is never made shorter, because another process
 * may hold the name, too. Returns the owners of the names that could not be renewed.
 */
const renew = `
local most, beat, refused = ARGV[3], ARGV[4], {now}
for _, lease in ipairs(cjson.decode(ARGV[2])) do
  local session, ms = unpack(lease)
  local owner = owner_of(session.key)
  if not owner then make_room(most) end
  if not owner or owner.since < session.since then set_owner(session, ms)
  elseif owner.id ~= session.id then table.insert(refused, cjson.encode(owner))
  elseif ms == 0 then redis.call('ZADD', leases, 0, session.key)
  else redis.call('ZADD', leases, 'GT', now + ms, session.key) end
end
if beat ~= '' then redis.call('XADD', changes, 'MAXLEN', '~', ${MAX_CHANGES}, '*', 'beat', beat) end
return refused
`;

/** Sent in full each time, after the prelude, so a Redis that was restarted or replaced needs no preparation. */
export const SCRIPTS = { sync, append, claim, renew };
export type Script = keyof typeof SCRIPTS;
