#!lua flags=no-writes
-- The records of some operations, with payloads. Writes nothing.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4… names: "resource TAB operation_id"
-- REPLY operations now {operation}...     (as in operation-views.lua; nine empty texts where there is none)
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end

local reply = { 'operations', s.time }
for i = 4, #args do
  local o = read_operation(s, args[i], true)
  if o then
    add_operation(s, reply, args[i], o, true)
  else
    for _ = 1, 9 do reply[#reply + 1] = '' end
  end
end
return reply
