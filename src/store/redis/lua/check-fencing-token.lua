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
--       quarantined now time_left    (another primary may have granted it to someone else since)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, resource, token = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

-- Another record that blocks may have a larger token. The holder of the smaller one was told until T; the isolated
-- primary A recorded a renewal of it that nobody was told of; B ended its quarantine early and granted the resource
-- after T; A is chosen again, and a roll call put the grant of B beside it. So the larger one is the last.
local own, largest = nil, 0
local flat = redis.call('HGETALL', state.bucket .. 'lock:' .. resource)
for i = 1, #flat, 2 do
  if is_lease(flat[i]) then
    local lease = read_lease(flat[i + 1])
    if blocks(state, lease) then largest = math.max(largest, tonumber(lease.token)) end
    -- A revoked lease is over for its holder. The resource stays taken to protect the next holder from one that has
    -- not heard of it yet; that is no permission to write.
    if lease.token == token and lease.state == 'held' and renewable(state, lease) then own = lease end
  end
end
if not own or own.mode == 'exclusive' and largest > tonumber(token) then return { 'invalid', state.time } end
-- Before the roll call has put it there, the grant of B isn't seen. That matters only where a reign may lie between the
-- one that these data come from and this one.
local is_unsure = caller ~= '-' and in_quarantine(state) and is_inherited(state, own)
if is_unsure and redis.call('HGET', meta, 'sure') ~= '1' then
  return { 'quarantined', state.time, int(state.quarantine_until - state.clock) }
end
return { 'valid', state.time }
