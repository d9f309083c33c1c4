#!lua flags=no-writes
-- Lists the records behind a name, in the order of the names' bytes, without payloads. The caller decides which of them
-- fit its filter. Writes nothing.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 after           only names behind this one; '' for the first
--       5 prefix          only names that begin with this
--       6 most            records
--       7 most_bytes      a reply that is longer ends
-- REPLY operations now more {operation}...      (as in operation-views.lua)
--         more: '1' when there may be more behind the last
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local after, prefix, most, most_bytes = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end

local from = after ~= '' and '(' .. after or '[' .. prefix
local to = '[' .. prefix .. '\255' -- no byte of UTF-8
local reply, bytes = { 'operations', state.time, '0' }, 0
local names = redis.call('ZRANGE', state.bucket .. 'operations', from, to, 'BYLEX', 'LIMIT', 0, most)
for i, name in ipairs(names) do
  add_operation(state, reply, name, read_operation(state, name), false)
  bytes = bytes + #reply[#reply - 7] + #reply[#reply - 6] + #reply[#reply]
  if i == most or bytes >= most_bytes then
    reply[3] = '1'
    break
  end
end
return reply
