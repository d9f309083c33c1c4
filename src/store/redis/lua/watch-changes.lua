#!lua flags=allow-oom
-- Makes scripts tell of changes for a while; an instance that watches runs it again and again. Leaves a mark on the
-- same channel, from which the instance knows that it hears.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 ahead           for how long
--       5 mark            what to say on the channel: no spaces
-- REPLY watched now clock watched_until      (both on the lease clock)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, ahead, mark = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

-- Never back: another instance may have asked for longer.
local watched_until = math.max(state.clock + ahead, tonumber(redis.call('HGET', meta, 'watched_until') or '0'))
redis.call('HSET', meta, 'watched_until', int(watched_until))
redis.call('PUBLISH', state.bucket .. 'changes', 'mark ' .. mark)
return { 'watched', state.time, int(state.clock), int(watched_until) }
