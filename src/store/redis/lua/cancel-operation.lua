#!lua flags=allow-oom
-- Asks for an operation to be cancelled: a pending one is, of a running one the worker is told and decides.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 name            "resource TAB operation_id"
--       5 reason
--       6 from            the states that are cancelled at once
--       7 outcome         of one that is cancelled at once
--       8 request_id      '' for none
--       9 room            how long a stale attempt's operation is left for recovery
-- REPLY changed now record data progress outcome
--       not-found now | wrong-state now
--       late now | reign now
local meta, reign, not_after, skew, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local reason, from, outcome, request_id, room = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)
s.room = tonumber(room)

local o = read_operation(s, name)
if not o then return { 'not-found', int(s.now) } end
if not is_repeat(o, 'cancel', request_id) and o.state ~= 'cancelled' then
  if not is_open(o) then return { 'wrong-state', int(s.now) } end
  if is_one_of(o.state, from) then
    o.cancel, o.reason = true, reason
    remember_request(o, 'cancel', request_id)
    finish_operation(s, name, o, 'cancelled', outcome)
  elseif not o.cancel then
    o.cancel, o.reason = true, reason
    remember_request(o, 'cancel', request_id)
    change_operation(s, name, o, not living(s, o, (split_name(name))))
    tell_attempt(s, o, name, 'attempt-look')
  end
end
local reply = { 'changed', int(s.now) }
add_operation(s, reply, name, o, true)
return reply
