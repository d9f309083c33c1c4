#!lua
-- Makes a failed or dead operation pending again, as if nobody had tried it. Only the numbers of its attempts go on.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 name            "resource TAB operation_id"
--       5 version         0: whatever its version
--       6 from            the states from which it may be tried again
--       7 request_id      '' for none
-- REPLY changed now done died clock operation...     (as in operation-views.lua; done: '1' if this call did it, and not
--         one that it repeats)
--       not-found now | wrong-state now | version-mismatch now
--       open now               (another open operation of the resource, and one of the two is exclusive)
--       quarantined now time_left
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local version, from, request_id = tonumber(ARGV[5]), ARGV[6], ARGV[7]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local op = read_operation(state, name, true)
if not op then return { 'not-found', state.time } end
local is_done = not is_repeat(op, 'retry', request_id)
if is_done then
  if not is_one_of(op.state, from) then return { 'wrong-state', state.time } end
  if version > 0 and version ~= op.version then return { 'version-mismatch', state.time } end
  -- There may be another open one that this primary has never heard of.
  if op.exclusive and in_quarantine(state) then return quarantined(state, state.quarantine_until) end
  if is_open_elsewhere(state, name, op.exclusive) then return { 'open', state.time } end
  remember_request(op, 'retry', request_id)
  redis.call('HDEL', operation_key(state, name), 'outcome')
  op.state, op.counted, op.cancel, op.reason, op.finished, op.outcome = 'pending', 0, false, '', '', false
  op.expires = op.ttl > 0 and state.clock + op.ttl or 0
  change_operation(state, name, op)
end
return changed_reply(state, name, op, is_done)
