#!lua flags=no-writes
-- The records of some operations, with payloads. Writes nothing.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4… names: "resource TAB operation_id"
-- REPLY operations now {record data progress outcome}...     (four empty texts where there is none)
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end

local reply = { 'operations', int(s.now) }
for i = 4, #args do
  local o = read_operation(s, args[i])
  if o then
    add_operation(s, reply, args[i], o, true)
  else
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = '', '', '', ''
  end
end
return reply
