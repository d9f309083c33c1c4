#!lua flags=allow-oom
-- Advances the lease clock, as every instance does once a second, and removes what lapsed: locks are
-- forgotten by the lease clock alone, never by a key's TTL, so that no step of a system clock drops one.
--
-- KEYS  1 meta            the bucket's meta hash
--       2 deadlines       index of locks by the moment at which something about them may lapse
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 lock_prefix     a lock's key is this and the resource (same hash tag as meta)
--       5 most            how many locks to look at, at most
-- REPLY ticked now quarantine_left looked_at removed
--       late now | reign now
local meta, deadlines = KEYS[1], KEYS[2]
local reign, not_after, skew = ARGV[1], ARGV[2], tonumber(ARGV[3])
local lock_prefix, most = ARGV[4], ARGV[5]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(meta, s)

local due = redis.call('ZRANGE', deadlines, '-inf', int(s.clock), 'BYSCORE', 'LIMIT', 0, most)
local removed = 0
for _, resource in ipairs(due) do
  local lock = lock_prefix .. resource
  local leases, _, next_look = read_lock(lock)
  if next_look <= s.clock then next_look = math.huge end
  for id, l in pairs(leases) do
    if alive(s, l) then next_look = math.min(next_look, l.deadline) else remove_lease(lock, id) end
  end
  if next_look == math.huge then
    redis.call('DEL', lock)
    redis.call('ZREM', deadlines, resource)
    removed = removed + 1
  else
    redis.call('ZADD', deadlines, int(next_look), resource)
  end
end
local left = math.max(s.quarantine_until - s.clock, 0)
return { 'ticked', int(s.now), int(left), int(#due), int(removed) }
