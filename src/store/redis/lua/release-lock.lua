#!lua flags=allow-oom
-- Ends a lease, or takes a waiter out of the queue, whoever's call asks: the lease_id is the capability. What becomes
-- free is handed over in the same step. A min_hold goes on without the lease.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 resource
--       5 lease_id
-- REPLY released now      this call ended a live lease
--       dequeued now      this call took a waiter out of the queue
--       absent now        there was neither
--       late now | reign now
local meta = KEYS[1]
local reign, not_after, skew, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local L = open_lock(s, resource)
local word = 'absent'
local waiting = redis.call('HGET', L.waiters, lease_id)
if waiting then
  tell(s, read_waiter(waiting).stamp, 'released', lease_id, '0', resource)
  forget_waiter(s, L, lease_id)
  word = 'dequeued'
end
local text = redis.call('HGET', L.key, lease_id)
if text then
  local l = read_lease(text)
  if alive(s, l) then word = l.state == 'offer' and 'dequeued' or 'released' end
  -- Streams hear of it; of a unary call nobody listens.
  if word == 'released' and is_of_stream(l.stamp) then
    tell(s, l.stamp, 'released', lease_id, '0', resource)
  end
  remove_holder(s, L, lease_id, l)
end
if word ~= 'absent' or text then
  settle(s, L)
end
return { word, s.time }
