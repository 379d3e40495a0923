/** The scripts about people: whose a name is, who is here, and who is to be told. `scripts.ts` says what the keys are. */
import { FORM_ID_LENGTH, NOTICES_UP_TO, RELOAD_TIME } from "../neighbours.js";

/** So many events are kept for processes that are late. Who missed one reads everything anew. */
const EVENTS = 10_000;
/** So much is tidied up in one step, so that no step is long. */
export const TIDY = 100;

/** What they have in common. */
export const COMMON = `
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

-- Forgets a name that nobody holds, when there are too many. Who is here goes to the end, or would be looked at for ever.
local function make_room(most)
  if redis.call('HLEN', names) < most then return true end
  for _, key in ipairs(redis.call('ZRANGE', held, 0, ${TIDY - 1})) do
    local owner = owner_of(key)
    if not owner or not is_held(owner) then
      redis.call('HDEL', names, key)
      redis.call('ZREM', held, key)
      if owner then return true end
    else
      redis.call('ZADD', held, 'GT', redis.call('ZSCORE', here, owner.name) or 0, key)
    end
  end
  return false
end
`;

/** As `Names.claim`. Returns the owner as JSON, or nothing when it comes too late: the caller was refused. */
export const claim = `
local deadline, mine, grace, most = tonumber(ARGV[1]), cjson.decode(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local instead = ARGV[5]
if now > deadline then return false end
local owner = owner_of(mine.key)
if owner and string.sub(owner.id, 1, ${FORM_ID_LENGTH}) == string.sub(mine.id, 1, ${FORM_ID_LENGTH}) then
  mine = owner
elseif owner and owner.id ~= instead and is_held(owner) then
  return 'taken'
end
if not owner and not make_room(most) then return 'full' end
if owner and owner.since > mine.since then mine.since = owner.since end
set_owner(mine, grace)
tell({own = {mine}, people = {}})
return cjson.encode(mine)
`;

/** What a process has to tell of its people, in order; and, now and then, who has been away for long enough. */
export const people = `
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
