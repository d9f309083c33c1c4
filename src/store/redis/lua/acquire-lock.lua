#!lua
-- Grants a lease if nothing contradicts it, or returns the same acquisition again; puts the caller in the queue if it
-- may wait. Nobody overtakes a queued waiter.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
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
-- REPLY granted now token remaining
--       repeated now token remaining    (it was a lease before: somebody may have been told of it)
--       queued now position blocked
--       held now time_left queue_length {about lease_id token acquired remaining mode state}...
--       ahead now time_left queue_length {…}...      (it would be admitted, but others wait)
--       min-hold now time_left queue_length
--       quarantined now time_left
--       reused now         (the lease_id names a lease or waiter in another mode)
--       full now           (too many wait for the resource)
--       moved now          (asked again, and a newer call speaks for the acquisition)
--       revoked now        (the lease_id names a lease that was revoked)
--       late now | reign now
local meta = KEYS[1]
local reign, not_after, skew, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stamp, mode, ttl, min_hold, max_hold = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local about, may_wait, most_waiters, asks_again = ARGV[11], ARGV[12] == '1', tonumber(ARGV[13]), ARGV[14] == '1'

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local L, own = open_lock(s, resource, lease_id)
drop_lapsed(s, L)
if own and not alive(s, own) then own = nil end -- dropped just now
local quarantined = s.clock < s.quarantine_until

local function granted(l)
  local word = l.state == 'offer' and 'granted' or 'repeated'
  if l.state == 'offer' then
    forget_offer(s, L, lease_id, l.stamp)
    add_min_hold(s, L, l, min_hold)
    hold(s, l, ttl, max_hold)
    L.changed = true
  else
    extend(s, l, ttl)
  end
  l.stamp = stamp
  redis.call('HSET', L.key, lease_id, lease_text(l))
  save_lock(s, L)
  return { word, s.time, l.token, remaining(s, l) }
end

if own then
  if own.mode ~= mode then return { 'reused', s.time } end
  -- An administrator was told when this lease ends. Its holder, cut off just then, repeats its call: extended, or
  -- queued and handed the same lease, it would hold the resource for as long as it likes.
  if own.state == 'revoked' then return { 'revoked', s.time } end
  if asks_again and not quarantined and own.stamp ~= stamp then return { 'moved', s.time } end
end

local waiting = redis.call('HGET', L.waiters, lease_id)
local w = waiting and read_waiter(waiting)
if w and w.mode ~= mode then return { 'reused', s.time } end
if w and w.stamp ~= stamp then
  if asks_again then return { 'moved', s.time } end
  tell(s, w.stamp, 'moved', lease_id, '0', resource)
end
-- Not even a repeat is answered in the quarantine: the old primary may have recorded this grant and never confirmed
-- it, found it lapsed, and granted the resource to someone whose lease this primary has not heard of.
if own and not quarantined then
  if own.stamp ~= stamp then tell(s, own.stamp, 'moved', lease_id, '0', resource) end
  if w then forget_waiter(s, L, lease_id) end
  return granted(own)
end

local queued = redis.call('ZCARD', L.queue)
if queued == 0 and not w and not quarantined and s.clock >= L.taken_until and admits(L, mode) then
  local l = {
    token = next_token(s), deadline = 0, ttl = ttl, ceiling = 0,
    acquired = s.time, stamp = stamp, mode = mode, state = 'held',
  }
  hold(s, l, ttl, max_hold)
  add_holder(L, lease_id, l, about)
  add_min_hold(s, L, l, min_hold)
  save_lock(s, L)
  return { 'granted', s.time, l.token, remaining(s, l) }
end

if may_wait then
  if not w then
    if redis.call('HLEN', L.waiters) >= 2 * most_waiters then return { 'full', s.time } end
    w = { queued_at = s.time, mode = mode }
    -- The repeat of a lease that lives on through a quarantine: nobody can be granted the resource before it anyway.
    if own then w.place = '0' end
  end
  w.stamp = stamp
  -- An instance that asks is not absent. Its other waiters were put aside meanwhile: it has to bring them back.
  if redis.call('HDEL', s.bucket .. 'absent', instance_of(stamp)) == 1 then tell(s, stamp, 'resync', '-', '0', '-') end
  enqueue(s, L, lease_id, w, about)
elseif w then
  forget_waiter(s, L, lease_id) -- it waits no more
end
-- What lapsed may have freed the resource for those who wait, and among them perhaps for this very call.
hand_over(s, L, true)
local text = redis.call('HGET', L.key, lease_id)
own = text and read_lease(text)
if own and own.stamp == stamp and own.state == 'offer' and alive(s, own) then return granted(own) end
save_lock(s, L)

local free_at = math.max(s.quarantine_until, L.taken_until, L.count > 0 and L.next or 0)
local time_left = int(math.max(free_at - s.clock, 0))
local position = redis.call('ZRANK', L.queue, lease_id)
if position then return { 'queued', s.time, int(position + 1), time_left } end
if quarantined and (L.count == 0 or (own and alive(s, own))) then return { 'quarantined', s.time, time_left } end
local queue_length = int(redis.call('ZCARD', L.queue))
local word = 'held'
if admits(L, mode) then
  if quarantined then return { 'quarantined', s.time, time_left } end
  word = s.clock < L.taken_until and 'min-hold' or 'ahead'
end
local reply = { word, s.time, time_left, queue_length }
local earliest = add_holders(s, L, reply, 4)
if earliest then reply[3] = int(math.max(earliest, L.taken_until, s.quarantine_until) - s.clock) end
return reply
