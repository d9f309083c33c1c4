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
-- Instances that one supervisor starts together are alone together: the first makes the entries of all, in this one
-- script, so that each copy of these data knows all of them or none. The others may then tell at once in this
-- reign. (In a later one they are newcomers: their entry may have been dropped meanwhile, in data that this reign's
-- come after.)
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance
--       4 name            of its host, for people: no spaces
--       5 wait            how long a newcomer tells nothing
--       6 mark            of the entry; '' for none
--       7 group           the ids of the instances that are started together, a space between them; '' for none
-- REPLY registered now at_once      ('1': it may tell at once)
--       late now | reign now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local name, wait, mark, group = ARGV[4], tonumber(ARGV[5]), ARGV[6] or '', ARGV[7] or ''

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
local own = known and read_entry(known)
local epoch = own and own.epoch or state.epoch
redis.call('HSET', instances, caller, entry_text({
  seen = state.clock, mono = '-', wall = '-', epoch = epoch, name = name, mark = mark,
}))
local is_alone = others == 0 and state.clock >= over
local is_placed = own and own.mono == PLACED and own.epoch == state.epoch
if is_alone then
  for id in string.gmatch(group, '%S+') do
    if id ~= caller then
      redis.call('HSET', instances, id, entry_text({
        seen = state.clock, mono = PLACED, wall = PLACED, epoch = state.epoch, name = name, mark = '',
      }))
    end
  end
end
return { 'registered', state.time, (is_alone or is_placed or is_warm) and '1' or '0' }
