#!lua flags=allow-oom
-- Reads what the instances tell each other of contention, and removes what has become too old.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
-- REPLY board now {instance written text}...      (`written` by Redis's TIME)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local reply = { 'board', state.time }
local board = state.bucket .. 'contention'
local flat = redis.call('HGETALL', board)
for i = 1, #flat, 2 do
  local written, text = string.match(flat[i + 1], '^(%d+) (.*)$')
  if not written or math.abs(state.now - tonumber(written)) > CONTENTION_KEPT then
    redis.call('HDEL', board, flat[i])
  else
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = flat[i], written, text
  end
end
return reply
