#!lua flags=allow-oom
-- Takes the sign of life of an instance that has waiters: it is not absent, or no longer, and learns of offers whose
-- message was lost.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 instance
-- REPLY refreshed now was_absent {"lease_id call resource"}...
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, instance = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local reply = { 'refreshed', state.time, int(redis.call('HDEL', state.bucket .. 'absent', instance)) }
local offers = redis.call('SMEMBERS', state.bucket .. 'offers:' .. instance)
for i = 1, #offers do reply[i + 3] = offers[i] end
return reply
