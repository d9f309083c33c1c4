#!lua flags=no-writes
-- Reads the records of some operations, with payloads. Writes nothing.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4… names: "resource TAB operation_id"
-- REPLY operations now {operation}...     (as in operation-views.lua; nine empty texts where there is none)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end

local reply = { 'operations', state.time }
for i = 4, #args do
  local op = read_operation(state, args[i], true)
  if op then
    add_operation(state, reply, args[i], op, true)
  else
    for _ = 1, 9 do reply[#reply + 1] = '' end
  end
end
return reply
