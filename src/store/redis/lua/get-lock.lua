#!lua flags=no-writes
-- Who holds a resource now. Writes nothing; the clock is read as a mutating script would advance it.
--
-- KEYS  1 meta            the bucket's meta hash
--       2 lock            the resource's hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
-- REPLY lock now min_hold_left {about lease_id token acquired remaining mode}...
--       late now | reign now
local meta, lock = KEYS[1], KEYS[2]
local reign, not_after, skew = ARGV[1], ARGV[2], tonumber(ARGV[3])

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end

local leases, abouts, taken_until = read_lock(lock)
local reply = { 'lock', int(s.now), int(math.max(taken_until - s.clock, 0)) }
for id, l in pairs(leases) do
  if alive(s, l) then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = abouts[id], id, l.token
    reply[n + 4], reply[n + 5], reply[n + 6] = l.acquired, int(l.deadline - s.clock), l.mode
  end
end
return reply
