#!lua flags=allow-oom
-- Ends a lease, whoever's call asks: the lease_id is the capability. A min_hold goes on without it.
--
-- KEYS  1 meta            the bucket's meta hash
--       2 lock            the resource's hash
--       3 deadlines       index of locks by the moment at which something about them may lapse
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 resource        the resource's name, its member in the index
--       5 lease_id
-- REPLY released now      this call ended a live lease
--       absent now        there was no live lease to end
--       late now | reign now
local meta, lock, deadlines = KEYS[1], KEYS[2], KEYS[3]
local reign, not_after, skew = ARGV[1], ARGV[2], tonumber(ARGV[3])
local resource, lease_id = ARGV[4], ARGV[5]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(meta, s)

local text = redis.call('HGET', lock, lease_id)
if not text then return { 'absent', int(s.now) } end
remove_lease(lock, lease_id)
if redis.call('HLEN', lock) == 0 then redis.call('ZREM', deadlines, resource) end
if alive(s, read_lease(text)) then return { 'released', int(s.now) } end
return { 'absent', int(s.now) }
