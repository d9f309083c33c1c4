#!lua flags=allow-oom
-- Ends a lease, or takes a waiter out of the queue. Any call that names the lease_id may ask for it: the lease_id is
-- the capability. The same step hands over what becomes free. A min_hold goes on without the lease.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
--       5 lease_id
-- REPLY released now held end token clock
--                                   this call ended a live lease; `end` is 'now', or 'over': its holder had been told
--                                   of its end before; token, clock: its token and the lease clock, for told memory
--       dequeued now              this call took a waiter out of the queue
--       lapsed now held           there was a lease, no stream told of its end, and this call found that it had lapsed
--       absent now                there was no lease and no waiter
--       late now | reign now | unregistered now
local meta = KEYS[1]
local reign, not_after, caller, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

-- Nearly every call: the only holder of the resource, exclusive and of a unary call, lives, has no min_hold, and nobody
-- waits. Does what the rest of this script would do, without taking the texts apart.
local key, waiters = state.bucket .. 'lock:' .. resource, nil
local recorded = redis.call('HMGET', key, ':', lease_id)
if recorded[1] and recorded[2] and string.find(recorded[1], SOLE_SUMMARY) then
  waiters = redis.call('HLEN', state.bucket .. 'waiters:' .. resource)
  local token, deadline, acquired, stamp
  if waiters == 0 then token, deadline, acquired, stamp = string.match(recorded[2], SOLE_LEASE) end
  if token and tonumber(deadline) > state.clock and not is_of_stream(stamp) then
    redis.call('DEL', key)
    look_again(state, resource, FAR)
    tell_watchers(state, resource)
    local held = since_grant(state, acquired == '=' and token or acquired)
    return { 'released', state.time, int(held), 'now', token, int(state.clock) }
  end
end

local lock, lease = open_lock(state, resource, lease_id, recorded)
lock.waiter_fields = waiters
local word, held, end_, token = 'absent', nil, nil, nil
local waiter = find_waiter(lock, lease_id)
if waiter then
  tell(state, waiter.stamp, 'released', lease_id, '0', resource)
  forget_waiter(state, lock, lease_id)
  word = 'dequeued'
end
if lease then
  if blocks(state, lease) then
    word = lease.state == 'offer' and 'dequeued' or 'released'
  elseif word == 'absent' and lease.state == 'held' and not is_of_stream(lease.stamp) then
    word = 'lapsed'
  end
  if word == 'released' or word == 'lapsed' then held = int(since_grant(state, lease.acquired)) end
  if word == 'released' then end_, token = is_over(state, lease) and 'over' or 'now', lease.token end
  -- Only a stream hears of it: nobody listens for a unary call.
  if word == 'released' and is_of_stream(lease.stamp) then
    tell(state, lease.stamp, 'released', lease_id, '0', resource)
  end
  remove_holder(state, lock, lease_id, lease)
end
if word ~= 'absent' or lease then settle(state, lock) end
return { word, state.time, held, end_, token, int(state.clock) }
