#!lua flags=allow-oom
-- Takes a waiter out of the queue, or gives back a grant that nobody was told of. Acts only while the record bears this
-- call's stamp: a newer call, on another instance, may have resumed the same lease_id.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
--       5 lease_id
--       6 stamp           "instance/call" of the call that leaves
--       7 keep            how long to keep its place for the same lease_id; 0: not at all
--       8 give_back       '1': also give back a lease that was confirmed, but that its caller was not told of
-- REPLY left now {token clock}    (of the lease that it gave back, and the lease clock: for told memory)
--       gone now
--       ended now token clock     it gave back a lease of which somebody had been told that it ends
--       late now | reign now | unregistered now
local meta = KEYS[1]
local reign, not_after, caller, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stamp, keep, give_back = ARGV[6], tonumber(ARGV[7]), ARGV[8] == '1'

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local lock, lease = open_lock(state, resource, lease_id)
local left, token = 'gone', nil
local waiter = find_waiter(lock, lease_id)
if waiter and waiter.stamp == stamp then
  if keep > 0 then set_absent(state, lock, lease_id, keep) else forget_waiter(state, lock, lease_id) end
  left = 'left'
end
if lease and not blocks(state, lease) then lease = nil end
if lease and lease.stamp == stamp and (lease.state == 'offer' or give_back) then
  remove_holder(state, lock, lease_id, lease)
  end_min_hold(state, lock, lease)
  left, token = is_over(state, lease) and 'ended' or 'left', lease.token
end
if left ~= 'gone' then settle(state, lock) end
return { left, state.time, token, int(state.clock) }
