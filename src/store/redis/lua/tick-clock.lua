#!lua flags=allow-oom
-- Advances the lease clock, as every instance does once a second, and looks at what is due: frees what lapsed, hands
-- it over, forgets waiters that stayed away. Locks are forgotten by the lease clock alone, never by a key's TTL, so
-- that no step of a system clock drops one.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 most            how many locks, absent waiters and operations to look at, at most
--       5 room            how long a stale attempt's operation is left for recovery
--       6 dead_by_attempts, 7 dead_by_time    the outcomes of the dead
-- REPLY ticked now quarantine_left more      (more: '1' when not all that is due was looked at)
--       late now | reign now
local meta, reign, not_after, skew, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local room, dead_by_attempts, dead_by_time = ARGV[5], ARGV[6], ARGV[7]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)
s.room, s.dead_by_attempts, s.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

local more = false
local due = redis.call('ZRANGE', s.bucket .. 'deadlines', '-inf', int(s.clock), 'BYSCORE', 'LIMIT', 0, most)
for _, resource in ipairs(due) do
  local L = open_lock(s, resource)
  settle(s, L)
  more = more or L.more
end

local gone = redis.call('ZRANGE', s.bucket .. 'patience', '-inf', int(s.clock), 'BYSCORE', 'LIMIT', 0, most)
local left_by = {}
for _, member in ipairs(gone) do
  local lease_id, resource = string.match(member, '^(%S+) (.*)$')
  local L = open_lock(s, resource)
  forget_waiter(s, L, lease_id)
  left_by[resource] = L
end
for _, L in pairs(left_by) do
  settle(s, L)
  more = more or L.more
end

local absent = redis.call('HGETALL', s.bucket .. 'absent')
for i = 1, #absent, 2 do
  if tonumber(absent[i + 1]) + 2 * FORGET < s.clock then redis.call('HDEL', s.bucket .. 'absent', absent[i]) end
end

most = tonumber(most)
more = more or #due == most or #gone == most
-- After the locks: an attempt whose lease has just lapsed is seen as stale.
more = sweep_operations(s, most) == most or more
local left = math.max(s.quarantine_until - s.clock, 0)
return { 'ticked', s.time, int(left), more and '1' or '0' }
