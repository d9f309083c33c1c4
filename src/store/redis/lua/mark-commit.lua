#!lua flags=allow-oom
-- Writes a mark behind all replies so far: a replica that has the mark has what they tell. The mark is the advanced
-- lease clock. (A WAIT that follows no write of its own connection acknowledges what it has never checked.)
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
-- REPLY marked now
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)
return { 'marked', state.time }
