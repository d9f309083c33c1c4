#!lua
-- Grants a lease if nothing stands in its way, or returns what the same acquisition has already. Else puts the caller
-- in the queue if it may wait. Nobody overtakes a queued waiter.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
--       5 lease_id
--       6 stamp           "instance/call" of the call that asks
--       7 mode            'exclusive', 'shared' or 'permits:n/limit'
--       8 ttl
--       9 min_hold        0: none
--      10 max_hold        0: no bound
--      11 about           what people are told: JSON, opaque here
--      12 may_wait        '1': queue if it can't be granted now
--      13 most_waiters    of one resource
--       14 again          '1': the call has asked before; only if no newer one speaks for the acquisition
-- REPLY granted now token remaining limit clock lease {took}    (limit: in force for permits; 0 in another mode. clock,
--         lease: the lease clock and what is recorded, for told memory. took: if it was offered to this call before,
--         since then)
--       repeated now token remaining limit clock lease    (it was a lease before: somebody may have been told of it)
--       queued now position blocked
--       held now time_left queue_length {about lease_id token acquired remaining mode state}...
--       ahead now time_left queue_length {…}...      (it would be admitted, but others wait)
--       min-hold now time_left queue_length
--       quarantined now time_left    (also where only its own lease stands in its way, of which it can't be told yet)
--       reused now         (the lease_id names a lease or waiter in another mode)
--       full now           (too many wait for the resource)
--       moved now          (asked again, and a newer call speaks for the acquisition)
--       revoked now        (the lease_id names a lease that was revoked)
--       late now | reign now | unregistered now
local meta = KEYS[1]
local reign, not_after, caller, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stamp, mode, ttl, min_hold, max_hold = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local about, may_wait, most_waiters, asks_again = ARGV[11], ARGV[12] == '1', tonumber(ARGV[13]), ARGV[14] == '1'

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

-- Nearly every call: an exclusive lease without bounds, of a resource of which nothing is recorded. Does what the rest
-- of this script would do, without a look for what can't be there: a holder, a min_hold, a waiter, a lease of this id.
if mode == 'exclusive' and min_hold == 0 and max_hold == 0 and not in_quarantine(state) then
  local key = state.bucket .. 'lock:' .. resource
  if redis.call('EXISTS', key, state.bucket .. 'waiters:' .. resource) == 0 then
    local token, deadline = next_token(state), deadline_after(state, ttl)
    local acquired = token == state.time and '=' or state.time
    local text = token .. ' ' .. int(deadline) .. ' ' .. int(ttl) .. ' 0 ' .. acquired .. ' ' .. stamp ..
      ' exclusive held ' .. state.epoch
    redis.call('HSET', key, ':', 'exclusive 1 0 - ' .. int(deadline) .. ' 0', lease_id, text, lease_id .. '?', about)
    look_again(state, resource, deadline)
    tell_watchers(state, resource)
    return { 'granted', state.time, token, remaining(state, deadline), '0', int(state.clock), text }
  end
end

local lock, own = open_lock(state, resource, lease_id)
drop_lapsed(state, lock)
if own and not blocks(state, own) then own = nil end -- dropped just now

local function granted(lease)
  if lease.state == 'offer' then forget_offer(state, lock, lease_id, lease.stamp) end
  local word = accept(state, lock, lease, ttl, min_hold, max_hold)
  local took = word == 'granted' and int(since_grant(state, lease.acquired)) or nil
  lease.stamp = stamp
  local text = lease_text(lease)
  redis.call('HSET', lock.key, lease_id, text)
  save_lock(state, lock)
  return told(state, lock, word, lease, text, took)
end

local may_have = own and may_tell(state, own)

if own then
  if own.mode ~= mode then return { 'reused', state.time } end
  -- An administrator was told when this lease ends. Its holder, cut off just then, repeats its call: extended, or
  -- queued and handed the same lease, it would hold the resource for as long as it likes.
  if own.state == 'revoked' then return { 'revoked', state.time } end
  if asks_again and may_have and own.stamp ~= stamp then return { 'moved', state.time } end
end

local waiter = find_waiter(lock, lease_id)
if waiter and waiter.mode ~= mode then return { 'reused', state.time } end
if waiter and waiter.stamp ~= stamp then
  if asks_again then return { 'moved', state.time } end
  tell(state, waiter.stamp, 'moved', lease_id, '0', resource)
end
-- In the quarantine not even a repeat is answered. The old primary may have recorded this grant, never confirmed it,
-- seen it lapse, and granted the resource to someone whose lease this primary has never heard of.
if may_have then
  if own.stamp ~= stamp then tell(state, own.stamp, 'moved', lease_id, '0', resource) end
  if waiter then forget_waiter(state, lock, lease_id) end
  return granted(own)
end

if not waiter and not own and not in_quarantine(state) and state.clock >= lock.taken_until and admits(lock, mode)
  and not has_queue(lock) then
  local lease = {
    token = next_token(state), deadline = 0, ttl = ttl, ceiling = 0,
    acquired = state.time, stamp = stamp, mode = mode, state = 'held', epoch = state.epoch,
  }
  hold(state, lease, ttl, max_hold)
  local text = add_holder(lock, lease_id, lease, about)
  add_min_hold(state, lock, lease, min_hold)
  save_lock(state, lock)
  return told(state, lock, 'granted', lease, text)
end

if may_wait then
  if not waiter then
    if waiter_fields(lock) >= 2 * most_waiters then return { 'full', state.time } end
    waiter = { queued_at = state.time, mode = mode }
    -- The repeat of a lease that lives on through a quarantine: nobody can be granted the resource before it anyway.
    if own then waiter.place = '0' end
  end
  waiter.stamp = stamp
  -- An instance that asks is not absent. Its other waiters were put aside in the meantime: it has to bring them back.
  if redis.call('HDEL', state.bucket .. 'absent', instance_of(stamp)) == 1 then
    tell(state, stamp, 'resync', '-', '0', '-')
  end
  enqueue(state, lock, lease_id, waiter, about)
elseif waiter then
  forget_waiter(state, lock, lease_id) -- it waits no more
end
-- A lease that lapsed may have freed the resource for those who wait, and among them for this very call.
local grants = hand_over(state, lock, true)
save_lock(state, lock)
if grants > 0 then own = find_lease(lock.key, lease_id) end
if own and own.stamp == stamp and own.state == 'offer' and may_tell(state, own) then return granted(own) end

local time_left = int(math.max(free_at(state, lock) - state.clock, 0))
local position = redis.call('ZRANK', lock.queue, lease_id)
if position then return { 'queued', state.time, int(position + 1), time_left } end
-- Only the quarantine stands in its way, and a min_hold perhaps: it goes together with those who hold.
local is_own = own and blocks(state, own)
if in_quarantine(state) and (lock.count == 0 or is_own or admits(lock, mode)) then
  return { 'quarantined', state.time, int(math.max(state.quarantine_until, lock.taken_until) - state.clock) }
end
if is_own then
  local until_ = renewable(state, own) and state.full_until or own.deadline
  return { 'quarantined', state.time, int(math.max(until_ - state.clock, 0)) }
end
return contended(state, lock, mode)
