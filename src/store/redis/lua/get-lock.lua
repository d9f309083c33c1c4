#!lua flags=no-writes
-- Who holds a resource and who waits for it now. Writes nothing; the clock is read as a mutating script would advance
-- it.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 resource
--       5 most            waiters listed, at most
-- REPLY lock now min_hold_left waiters listed {about lease_id queued_at mode}...
--         {about lease_id token acquired remaining mode state}...
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local resource, most = ARGV[4], tonumber(ARGV[5])

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end

local L = open_lock(s, resource)
local ids = redis.call('ZRANGE', L.queue, 0, most - 1)
local reply = {
  'lock', int(s.now), int(math.max(L.taken_until - s.clock, 0)), int(redis.call('ZCARD', L.queue)), int(#ids),
}
for _, lease_id in ipairs(ids) do
  local w = read_waiter(redis.call('HGET', L.waiters, lease_id))
  local n = #reply
  reply[n + 1], reply[n + 2] = redis.call('HGET', L.waiters, lease_id .. '?'), lease_id
  reply[n + 3], reply[n + 4] = w.queued_at, w.mode
end
add_holders(s, L, reply, math.max(L.count, 1))
return reply
