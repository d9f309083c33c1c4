#!lua flags=allow-oom
-- Frees what lapsed of one resource and hands it over. The instance whose waiter is next calls it when the deadline
-- that blocks that waiter has passed.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
-- REPLY advanced now
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, resource = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

settle(state, open_lock(state, resource))
return { 'advanced', state.time }
