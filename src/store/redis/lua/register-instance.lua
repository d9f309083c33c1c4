#!lua flags=allow-oom
-- Writes an instance into the registry: from now on the roll calls of these data ask for it. It is a newcomer, and
-- tells nothing until a copy of these data without its entry can give nobody a fresh answer any more:
--
-- * X registers, grants, and dies. The replica that is promoted lacks its last two seconds, and so X's entry. The
--   others answer, and the resource is granted again.
--
-- It may tell at once if it is alone, and the whole quarantine is over: in an older copy nobody lives who could answer,
-- or nobody whose answer is fresh. And also where the registry has just begun (adopt-reign.lua).
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance
--       4 name            of its host, for people: no spaces
--       5 wait            how long a newcomer tells nothing
--       6 mark            of the entry; '' for none
-- REPLY registered now at_once      ('1': it may tell at once)
--       late now | reign now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local name, wait, mark = ARGV[4], tonumber(ARGV[5]), ARGV[6] or ''

local state, refusal = enter(meta, reign, not_after, '-')
if not state then return refusal end
advance(state)

local instances = state.bucket .. 'instances'
local known = redis.call('HGET', instances, caller)
local others = redis.call('HLEN', instances) - (known and 1 or 0)
local times = redis.call('HMGET', meta, 'adopted', 'warm_until')
local adopted, is_warm = tonumber(times[1]), state.clock < tonumber(times[2])
local over = math.max(state.full_until, adopted > 0 and adopted + wait + SKEW or 0)
-- An entry that it has keeps the epoch that it owes an answer to.
local epoch = known and read_entry(known).epoch or state.epoch
redis.call('HSET', instances, caller, entry_text({
  seen = state.clock, mono = '-', wall = '-', epoch = epoch, name = name, mark = mark,
}))
local is_alone = others == 0 and state.clock >= over
return { 'registered', state.time, (is_alone or is_warm) and '1' or '0' }
