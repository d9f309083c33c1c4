#!lua flags=allow-oom
-- Gives a running operation back, so that another worker can go on with it. Releases its lease in the same step.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 room            how long a stale attempt's operation is left for recovery
--       5 name            "resource TAB operation_id"
--       6 claim
--       7 token
--       8 stamp           '' or "instance/call": only while this call speaks for the attempt
--       9 from            the states from which it may be given back
--      10 delay           how long no claim gets it
--      11 request_id      '' for none
-- REPLY changed now done died clock operation...     (as in operation-views.lua; done: '1' if this call did it, and not
--         one that it repeats)
--       not-found now | stale-attempt now | wrong-state now
--       quarantined now left                      (its lease may be put back, or it may get more time)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, room, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local claim, token, stamp, from, delay, request_id = ARGV[6], ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local op = read_operation(state, name, true)
if not op then return { 'not-found', state.time } end
local is_done = not is_repeat(op, 'yield', request_id)
if is_done then
  local refused = refusal_of(state, name, op, claim, token)
  if not refused and stamp ~= '' and op.stamp ~= stamp then refused = { 'stale-attempt', state.time } end
  if not refused and not is_one_of(op.state, from) then refused = { 'wrong-state', state.time } end
  if refused then return refused end
  remember_request(op, 'yield', request_id)
  tell_attempt(state, op, name, 'attempt-look')
  op.state, op.counted = 'pending', op.counted - 1
  op.claimable = delay > 0 and state.clock + delay or 0
  -- The next worker has at least as much time for it as for a stale one.
  if op.expires > 0 then op.expires = math.max(op.expires, state.clock + delay + tonumber(room)) end
  change_operation(state, name, op)
  release_attempt(state, op, (split_name(name)))
end
return changed_reply(state, name, op, is_done)
