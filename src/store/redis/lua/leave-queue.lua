#!lua flags=allow-oom
-- Takes a waiter out of the queue, or gives back what it was granted and nobody was told of. Acts only while the record
-- bears this call's stamp: the same lease_id may have been resumed by a newer call, on another instance.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 resource
--       5 lease_id
--       6 stamp           "instance/call" of the call that leaves
--       7 keep            how long its place is kept for the same lease_id; 0: not at all
--       8 give_back       '1': also a lease that was confirmed, but that its caller was not told of
-- REPLY left now | gone now
--       late now | reign now
local meta = KEYS[1]
local reign, not_after, skew, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stamp, keep, give_back = ARGV[6], tonumber(ARGV[7]), ARGV[8] == '1'

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local L = open_lock(s, resource)
local left = 'gone'
local waiting = redis.call('HGET', L.waiters, lease_id)
if waiting and read_waiter(waiting).stamp == stamp then
  if keep > 0 then set_absent(s, L, lease_id, keep) else forget_waiter(s, L, lease_id) end
  left = 'left'
end
local text = redis.call('HGET', L.key, lease_id)
local l = text and read_lease(text)
if l and not alive(s, l) then l = nil end
if l and l.stamp == stamp and (l.state == 'offer' or give_back) then
  remove_holder(s, L, lease_id, l)
  end_min_hold(s, L, l)
  left = 'left'
end
if left == 'left' then settle(s, L) end
return { left, s.time }
