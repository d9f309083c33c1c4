#!lua flags=allow-oom
-- Takes an instance out of the registry, which has told its last and ended in order. Ignored from one that owes an
-- answer: what it told may be lacking here, and nobody else puts it back.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance
-- REPLY left now
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

if read_entry(state.entry).epoch == state.epoch then redis.call('HDEL', state.bucket .. 'instances', caller) end
return { 'left', state.time }
