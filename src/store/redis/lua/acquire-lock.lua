#!lua
-- Grants an exclusive lease if nothing contradicts it, or returns the same acquisition again.
--
-- KEYS  1 meta            the bucket's meta hash
--       2 lock            the resource's hash
--       3 deadlines       index of locks by the moment at which something about them may lapse
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 resource        the resource's name, its member in the index
--       5 lease_id
--       6 stamp           "instance/call" of the call that asks
--       7 mode            'exclusive'
--       8 ttl
--       9 min_hold        0: none
--      10 max_hold        0: no bound
--      11 about           what people are told: JSON, opaque here
-- REPLY granted now token remaining
--       held now time_left about lease_id token acquired remaining mode      (someone else's live lease)
--       min-hold now time_left
--       quarantined now time_left
--       late now | reign now
local meta, lock, deadlines = KEYS[1], KEYS[2], KEYS[3]
local reign, not_after, skew = ARGV[1], ARGV[2], tonumber(ARGV[3])
local resource, lease_id, stamp, mode = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local ttl, min_hold, max_hold, about = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(meta, s)

local leases, abouts, taken_until = read_lock(lock)
for id, l in pairs(leases) do
  if alive(s, l) then
    if id ~= lease_id then
      local left = int(math.max(l.deadline, taken_until, s.quarantine_until) - s.clock)
      return { 'held', int(s.now), left, abouts[id], id, l.token, l.acquired, int(l.deadline - s.clock), l.mode }
    end
    -- Not even a repeat is answered in the quarantine: the old primary may have recorded this grant and never
    -- confirmed it, found it lapsed, and granted the resource to someone whose lease this primary has not
    -- heard of.
    if s.clock < s.quarantine_until then
      return { 'quarantined', int(s.now), int(s.quarantine_until - s.clock) }
    end
    extend(s, l, ttl, skew)
    l.stamp = stamp
    write_lease(lock, id, l)
    return { 'granted', int(s.now), l.token, int(l.deadline - skew - s.clock) }
  end
end

if s.clock < s.quarantine_until then
  return { 'quarantined', int(s.now), int(math.max(s.quarantine_until, taken_until) - s.clock) }
end
if s.clock < taken_until then
  return { 'min-hold', int(s.now), int(taken_until - s.clock) }
end

-- Larger than every earlier token: the counter carries it over a clock that stepped back, the time over lost
-- writes.
local token = int(math.max(s.token + 1, s.now))
redis.call('HSET', meta, 'token', token)
for id in pairs(leases) do remove_lease(lock, id) end

local l = { token = token, deadline = 0, ttl = ttl, ceiling = 0, acquired = int(s.now), stamp = stamp, mode = mode }
if max_hold > 0 then l.ceiling = s.clock + max_hold + skew end
extend(s, l, ttl, skew)
write_lease(lock, lease_id, l)
redis.call('HSET', lock, lease_id .. '?', about)
if min_hold > 0 then
  redis.call('HSET', lock, ':taken_until', int(s.clock + min_hold))
elseif taken_until > 0 then
  redis.call('HDEL', lock, ':taken_until')
end
redis.call('ZADD', deadlines, int(l.deadline), resource)
return { 'granted', int(s.now), token, int(l.deadline - skew - s.clock) }
