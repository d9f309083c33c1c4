#!lua flags=allow-oom
-- Extends a live lease that carries this token. A lapsed one is never renewed: its resource may have been
-- given away.
--
-- KEYS  1 meta            the bucket's meta hash
--       2 lock            the resource's hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 lease_id
--       5 token           the lease's fencing token
--       6 stamp           '' or "instance/call": renew only while this call speaks for the lease
--       7 ttl             0: the TTL of the grant
--       8 max_ttl         the deployment's: a grant may be older than a change of it
-- REPLY renewed now token remaining
--       lost now          no live lease of this id and token
--       moved now         a newer call speaks for it
--       late now | reign now
local meta, lock = KEYS[1], KEYS[2]
local reign, not_after, skew = ARGV[1], ARGV[2], tonumber(ARGV[3])
local lease_id, token, stamp, ttl, max_ttl = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(meta, s)

local text = redis.call('HGET', lock, lease_id)
if not text then return { 'lost', int(s.now) } end
local l = read_lease(text)
if l.token ~= token or not alive(s, l) then return { 'lost', int(s.now) } end
if stamp ~= '' and l.stamp ~= stamp then return { 'moved', int(s.now) } end
if ttl == 0 then ttl = math.min(l.ttl, max_ttl) end
extend(s, l, ttl, skew)
write_lease(lock, lease_id, l)
-- The index is left as it is: its scores are lower bounds, and tick-clock.lua looks again when one is
-- reached.
return { 'renewed', int(s.now), l.token, int(l.deadline - skew - s.clock) }
