#!lua flags=allow-oom
-- Cancels a pending operation, or tells the worker of a running one, who decides.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 room            how long a stale attempt's operation is left for recovery
--       5 dead_by_attempts, 6 dead_by_time    the outcomes of the dead
--       7 name            "resource TAB operation_id"
--       8 reason
--       9 from            the states in which it is cancelled at once
--      10 outcome         of an operation that is cancelled at once
--      11 request_id      '' for none
-- REPLY changed now done died clock operation...
--         (as in operation-views.lua) done: '1' if this call cancelled it or was the first to ask for that; died: its
--         type, if it became dead now
--       not-found now | wrong-state now died
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local room, dead_by_attempts, dead_by_time, name = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local reason, from, outcome, request_id = ARGV[8], ARGV[9], ARGV[10], ARGV[11]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)
state.room, state.dead_by_attempts, state.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

-- First does what is due: an operation that has just gone stale for the last time is dead, and can't be cancelled.
local op, is_stale = read_operation(state, name, true), false
if op then op, is_stale = settle_operation(state, name, op) end
if not op then return { 'not-found', state.time } end
local is_done = false
if not is_repeat(op, 'cancel', request_id) and op.state ~= 'cancelled' then
  if not is_open(op) then return { 'wrong-state', state.time, deaths(state) } end
  remember_request(op, 'cancel', request_id)
  is_done = not op.cancel
  if is_one_of(op.state, from) then
    op.cancel, op.reason = true, reason
    finish_operation(state, name, op, 'cancelled', outcome)
  elseif not op.cancel then
    op.cancel, op.reason = true, reason
    if is_stale then change_operation(state, name, op, true) else amend_operation(state, name, op) end
    tell_attempt(state, op, name, 'attempt-look')
  elseif request_id ~= '' then
    save_operation(state, name, op, is_stale) -- so that its repeat does not cancel what was tried again meanwhile
  end
end
return changed_reply(state, name, op, is_done)
