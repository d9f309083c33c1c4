#!lua flags=allow-oom
-- Tells whether a live lease of the resource carries this token. It writes the clock, so that a node that was demoted
-- in the meantime answers nothing.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
--       5 token
-- REPLY valid now | invalid now
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, resource, token = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local flat = redis.call('HGETALL', state.bucket .. 'lock:' .. resource)
for i = 1, #flat, 2 do
  if is_lease(flat[i]) then
    local lease = read_lease(flat[i + 1])
    -- A revoked lease is over for its holder. The resource stays taken to protect the next holder from one that has
    -- not heard of it yet; that is no permission to write.
    if lease.token == token and lease.state == 'held' and renewable(state, lease) then
      return { 'valid', state.time }
    end
  end
end
return { 'invalid', state.time }
