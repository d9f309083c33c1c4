#!lua flags=allow-oom
-- Ends an operation for the worker that runs it. If asked to, releases its lease in the same step.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 name            "resource TAB operation_id"
--       5 claim
--       6 token
--       7 from            the states from which it may end so
--       8 final           the state that it comes to
--       9 outcome         the result or the status
--      10 release         '1': release the attempt's lease too
--      11 request_id      '' for none
-- REPLY changed now done died clock operation...     (as in operation-views.lua; done: '1' if this call did it, and not
--         one that it repeats)
--       not-found now | stale-attempt now | wrong-state now
--       quarantined now left                      (its lease may be put back, or it may get more time)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local claim, token, from, final, outcome = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local release, request_id = ARGV[10] == '1', ARGV[11]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local op = read_operation(state, name, true)
if not op then return { 'not-found', state.time } end
local is_done = not is_repeat(op, 'complete', request_id)
if is_done then
  local refused = refusal_of(state, name, op, claim, token)
  if not refused and not is_one_of(op.state, from) then refused = { 'wrong-state', state.time } end
  if refused then return refused end
  remember_request(op, 'complete', request_id)
  tell_attempt(state, op, name, 'attempt-look')
  finish_operation(state, name, op, final, outcome)
  if release then release_attempt(state, op, (split_name(name))) end
end
return changed_reply(state, name, op, is_done)
