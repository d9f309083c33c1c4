#!lua
-- Leaves what an instance tells the others of contention, in place of what it told before. Removes some of what
-- instances have left that no longer write: if nobody ever reads, the hash would grow with each restart.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 instance
--       5 text            '' takes it away
-- REPLY written now
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, instance, text = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local board = state.bucket .. 'contention'
if text == '' then
  redis.call('HDEL', board, instance)
else
  redis.call('HSET', board, instance, state.time .. ' ' .. text)
end
-- Each look removes what is old if it meets it, so there are never many more than the instances that write.
for _, other in ipairs(redis.call('HRANDFIELD', board, 2)) do
  local written = string.match(redis.call('HGET', board, other), '^%d+')
  if not written or math.abs(state.now - tonumber(written)) > CONTENTION_KEPT then
    redis.call('HDEL', board, other)
  end
end
return { 'written', state.time }
