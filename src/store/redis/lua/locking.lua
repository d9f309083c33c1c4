-- Locking: put after the prelude in the scripts that change who holds or waits. Owns the lock's summary, admission, the
-- queue and the direct hand-over.
--
-- Keys of a resource: lock:R (hash: leases by lease_id, '<lease_id>?' what people are told of each, ':' the summary),
-- queue:R (sorted set: live waiters by place), waiters:R (hash: waiters by lease_id, live or absent, '<lease_id>?' as
-- above). Of the bucket: deadlines (sorted set: a lock by the moment before which nothing about it changes by
-- itself), patience (sorted set: "lease_id resource" of waiters by the moment at which they are forgotten), absent
-- (hash: instances that let an offer lapse), offers:I (set: "lease_id call resource", what instance I was granted and
-- has not confirmed), names (sorted set: the members of deadlines in the order of their bytes, to list them by). An
-- instance listens on the channel instance:I, and while it watches, on changes.

-- How long a grant by hand-over waits for its instance's confirmation.
local OFFER = 1000000
-- A waiter that does not ask again for so long is forgotten: a dead instance's would fill the queue of a lock that is
-- never released.
local FORGET = 30000000
-- Grants of one hand-over, at most; the rest follows at the next look, which is due at once.
local GRANTS = 500
local FAR = 9007199254740991 -- 2^53 - 1

-- The summary ":" is "mode count permits limits next taken_until": the holders' common mode, their number, the sum of
-- their permits, how often each limit is named ("10=2,20=1"), a lower bound of their deadlines, and the end of a
-- min_hold. It makes admission cost the same for one holder as for ten thousand. Returns the lock, and the lease of
-- `lease_id` if that is named and recorded.
local function open_lock(s, resource, lease_id)
  local L = {
    resource = resource,
    key = s.bucket .. 'lock:' .. resource,
    queue = s.bucket .. 'queue:' .. resource,
    waiters = s.bucket .. 'waiters:' .. resource,
    mode = '-', count = 0, permits = 0, limits = '-', next = FAR, taken_until = 0,
  }
  local fields = redis.call('HMGET', L.key, ':', lease_id or ':')
  local text, own = fields[1], lease_id and fields[2]
  if text then
    local mode, count, permits, limits, next_, taken = string.match(text, '^(%S+) (%d+) (%d+) (%S+) (%d+) (%d+)$')
    L.mode, L.count, L.permits, L.limits = mode, tonumber(count), tonumber(permits), limits
    L.next, L.taken_until = tonumber(next_), tonumber(taken)
  end
  return L, own and read_lease(own)
end

-- Tells who watches that the lock may look otherwise now; what it looks like they read. Renewals tell nothing.
local function tell_watchers(s, L)
  if s.watched then redis.call('PUBLISH', s.bucket .. 'changes', 'changed ' .. L.resource) end
end

-- Writes the summary, and when to look at the lock again: when a holder may lapse, and while someone waits or a
-- min_hold lasts, when that or the quarantine is over. Whatever changes who holds or waits sets `L.changed` and comes
-- here, so this is the one place that tells those who watch.
local function save_lock(s, L)
  if L.count == 0 then L.mode, L.permits, L.limits, L.next = '-', 0, '-', FAR end
  if L.count == 0 and L.taken_until <= s.clock then
    if redis.call('HDEL', L.key, ':', ':?') > 0 then L.changed = true end -- a min_hold is over
  else
    redis.call('HSET', L.key, ':', L.mode .. ' ' .. int(L.count) .. ' ' .. int(L.permits) .. ' ' .. L.limits .. ' ' ..
      int(L.next) .. ' ' .. int(L.taken_until))
  end
  local look = L.more and s.clock or L.next
  if L.taken_until > s.clock then look = math.min(look, L.taken_until) end
  if s.clock < s.quarantine_until or L.count == 0 then
    if redis.call('EXISTS', L.queue) == 1 then
      look = math.min(look, math.max(s.quarantine_until, L.taken_until, s.clock))
    end
  end
  if look == FAR then
    if redis.call('ZREM', s.bucket .. 'deadlines', L.resource) == 1 then
      redis.call('ZREM', s.bucket .. 'names', L.resource)
    end
  elseif redis.call('ZADD', s.bucket .. 'deadlines', int(look), L.resource) == 1 then
    redis.call('ZADD', s.bucket .. 'names', 0, L.resource)
  end
  if L.changed then tell_watchers(s, L) end
end

local function permits_of(mode)
  local permits, limit = string.match(mode, '^permits:(%d+)/(%d+)$')
  return tonumber(permits), tonumber(limit)
end

local function count_limit(limits, limit, by)
  local parts, found = {}, false
  if limits ~= '-' then
    for value, count in string.gmatch(limits, '(%d+)=(%d+)') do
      local n = tonumber(count)
      if tonumber(value) == limit then n, found = n + by, true end
      if n > 0 then parts[#parts + 1] = value .. '=' .. int(n) end
    end
  end
  if not found and by > 0 then parts[#parts + 1] = int(limit) .. '=' .. int(by) end
  if #parts == 0 then return '-' end
  return table.concat(parts, ',')
end

local function smallest_limit(limits)
  local smallest = FAR
  for value in string.gmatch(limits, '(%d+)=') do smallest = math.min(smallest, tonumber(value)) end
  return smallest
end

local function count_in(L, l)
  L.count = L.count + 1
  L.next = math.min(L.next, l.deadline)
  local permits, limit = permits_of(l.mode)
  if permits then
    L.mode, L.permits, L.limits = 'permits', L.permits + permits, count_limit(L.limits, limit, 1)
  else
    L.mode = l.mode
  end
end

-- `next` stays: it is a lower bound.
local function count_out(L, l)
  L.count = L.count - 1
  local permits, limit = permits_of(l.mode)
  if permits then L.permits, L.limits = L.permits - permits, count_limit(L.limits, limit, -1) end
end

local function add_holder(L, lease_id, l, about)
  redis.call('HSET', L.key, lease_id, lease_text(l), lease_id .. '?', about)
  count_in(L, l)
  L.changed = true
end

-- The min_holds of a lock, the last end of which is `taken_until`, are its field ':?': "token until" of each, with a
-- space between. Writes all but those that are over and that of `but`, with one more where there is one.
local function write_min_holds(s, L, but, more)
  local known = redis.call('HGET', L.key, ':?') or (L.taken_until > s.clock and '0 ' .. int(L.taken_until)) or ''
  local kept = more and { more } or {}
  L.taken_until = 0
  for token, until_ in string.gmatch(known, '(%d+) (%d+)') do
    if token ~= but and tonumber(until_) > s.clock then kept[#kept + 1] = token .. ' ' .. until_ end
  end
  for _, one in ipairs(kept) do L.taken_until = math.max(L.taken_until, tonumber(string.match(one, '%d+$'))) end
  redis.call('HSET', L.key, ':?', table.concat(kept, ' '))
end

local function add_min_hold(s, L, l, min_hold)
  if min_hold > 0 then write_min_holds(s, L, '', l.token .. ' ' .. int(s.clock + min_hold)) end
end

-- That of a grant that nobody was told of. Other leases may have theirs, or had them before they ended.
local function end_min_hold(s, L, l)
  if L.taken_until > s.clock then write_min_holds(s, L, l.token) end
end

local function offer_of(s, L, lease_id, stamp)
  local instance, call = string.match(stamp, '^([^/]+)/(%d+)$')
  return s.bucket .. 'offers:' .. instance, lease_id .. ' ' .. call .. ' ' .. L.resource
end

local function forget_offer(s, L, lease_id, stamp)
  redis.call('SREM', offer_of(s, L, lease_id, stamp))
end

local function erase_holder(s, L, lease_id, l)
  redis.call('HDEL', L.key, lease_id, lease_id .. '?')
  if l.state == 'offer' then
    forget_offer(s, L, lease_id, l.stamp)
  elseif l.state == 'claim' then
    -- An offer in the layout before this one, which ended with the upgrade (adopt-reign.lua).
    redis.call('DEL', s.bucket .. 'claims:' .. instance_of(l.stamp))
  end
  L.changed = true
end

local function remove_holder(s, L, lease_id, l)
  erase_holder(s, L, lease_id, l)
  count_out(L, l)
end

-- Whether a field of a lock's hash is a lease, not the summary or what people are told ('?' is 63).
local function is_lease(name)
  return name ~= ':' and string.byte(name, -1) ~= 63
end

-- Looks at each holder once the lower bound is reached (or lies where an adoption made leases lapse), and makes the
-- summary that of the live ones. The others are passed to `lapsed`, if there is one.
local function recount(s, L, lapsed)
  if L.count == 0 or (s.clock < L.next and L.next >= s.lapsed_before) then return end
  local flat = redis.call('HGETALL', L.key)
  L.mode, L.count, L.permits, L.limits, L.next = '-', 0, 0, '-', FAR
  for i = 1, #flat, 2 do
    if is_lease(flat[i]) then
      local l = read_lease(flat[i + 1])
      if alive(s, l) then
        count_in(L, l)
      elseif lapsed then
        lapsed(flat[i], l)
      end
    end
  end
end

-- Forgets the holders that lapsed. A lapsed offer marks its whole instance as absent: it did not answer for a second,
-- and every waiter of it that came next would cost another one.
local function drop_lapsed(s, L)
  local recorded = L.count
  recount(s, L, function(lease_id, l)
    erase_holder(s, L, lease_id, l)
    -- (Not if an adoption ended it: then its instance had no chance.)
    if l.state == 'offer' and l.deadline <= s.clock then
      redis.call('HSET', s.bucket .. 'absent', instance_of(l.stamp), int(s.clock))
    end
  end)
  -- Also where an earlier script dropped them and had no reason to save the lock.
  if L.count ~= recorded then L.changed = true end
end

-- Whether a lease in `mode` goes together with the live holders. Of permits, the smallest limit that anybody names
-- counts, so that a rollout which changes the limit converges.
local function admits(L, mode)
  if L.count == 0 then
    local permits, limit = permits_of(mode)
    return not permits or permits <= limit
  end
  if mode == 'shared' then return L.mode == 'shared' end
  local permits, limit = permits_of(mode)
  if not permits or L.mode ~= 'permits' then return false end
  return L.permits + permits <= math.min(limit, smallest_limit(L.limits))
end

-- A waiter is "place instance/call queued_at mode".
local function read_waiter(text)
  local place, stamp, queued_at, mode = string.match(text, '^(%d+) (%S+) (%d+) (%S+)$')
  return { place = place, stamp = stamp, queued_at = queued_at, mode = mode }
end

local function write_waiter(L, lease_id, w, about)
  redis.call('HSET', L.waiters, lease_id, w.place .. ' ' .. w.stamp .. ' ' .. w.queued_at .. ' ' .. w.mode,
    lease_id .. '?', about)
end

-- Puts a waiter at its place; a new one at the tail.
local function enqueue(s, L, lease_id, w, about)
  if not w.place then w.place = int(redis.call('HINCRBY', s.meta, 'place', 1)) end
  write_waiter(L, lease_id, w, about)
  if redis.call('ZADD', L.queue, w.place, lease_id) == 1 then L.changed = true end -- not a waiter that asks again
  redis.call('ZADD', s.bucket .. 'patience', int(s.clock + FORGET), lease_id .. ' ' .. L.resource)
end

-- Out of the live queue, so that passing over it costs nothing; its place is remembered for a while.
local function set_absent(s, L, lease_id, for_us)
  if redis.call('ZREM', L.queue, lease_id) == 1 then L.changed = true end
  redis.call('ZADD', s.bucket .. 'patience', int(s.clock + for_us), lease_id .. ' ' .. L.resource)
end

local function forget_waiter(s, L, lease_id)
  if redis.call('ZREM', L.queue, lease_id) == 1 then L.changed = true end
  redis.call('HDEL', L.waiters, lease_id, lease_id .. '?')
  redis.call('ZREM', s.bucket .. 'patience', lease_id .. ' ' .. L.resource)
end

-- Grants the next live waiters what is free, in this very step, and tells their instances; then tells the next one in
-- line when what blocks it may lapse. Nobody is asked, nobody polls, and the cost does not depend on how many wait.
-- Where `if_granted`, the next in line is told only if somebody was granted: nothing has changed for it otherwise.
local function hand_over(s, L, if_granted)
  local grants = 0
  while grants < GRANTS and s.clock >= s.quarantine_until and s.clock >= L.taken_until do
    local lease_id = redis.call('ZRANGE', L.queue, 0, 0)[1]
    if not lease_id then return end
    local w = read_waiter(redis.call('HGET', L.waiters, lease_id))
    local instance = instance_of(w.stamp)
    local text = redis.call('HGET', L.key, lease_id)
    local own = text and read_lease(text)
    if redis.call('HEXISTS', s.bucket .. 'absent', instance) == 1 then
      set_absent(s, L, lease_id, FORGET)
    elseif own and alive(s, own) then
      -- A lease of this very id that outlived a quarantine, repeated by a waiting call: the same lease, no second one.
      own.stamp = w.stamp
      redis.call('HSET', L.key, lease_id, lease_text(own))
      forget_waiter(s, L, lease_id)
      tell(s, w.stamp, 'offered', lease_id, '0', L.resource)
      grants = grants + 1
    elseif w.place == '0' then
      -- It stood before the others for the sake of its lease, and that has lapsed: now it is one of them.
      w.place = nil
      enqueue(s, L, lease_id, w, redis.call('HGET', L.waiters, lease_id .. '?'))
    else
      if not admits(L, w.mode) then break end
      local about = redis.call('HGET', L.waiters, lease_id .. '?')
      add_holder(L, lease_id, {
        token = next_token(s), deadline = s.clock + OFFER, ttl = 0, ceiling = 0,
        acquired = s.time, stamp = w.stamp, mode = w.mode, state = 'offer',
      }, about)
      forget_waiter(s, L, lease_id)
      redis.call('SADD', offer_of(s, L, lease_id, w.stamp))
      tell(s, w.stamp, 'offered', lease_id, '0', L.resource)
      grants = grants + 1
    end
  end
  L.more = grants == GRANTS
  if if_granted and grants == 0 then return end
  local next_id = redis.call('ZRANGE', L.queue, 0, 0)[1]
  if next_id then
    local w = read_waiter(redis.call('HGET', L.waiters, next_id))
    local blocked_until = math.max(s.quarantine_until, L.taken_until, L.count > 0 and L.next or 0)
    tell(s, w.stamp, 'next', next_id, int(math.max(math.min(blocked_until - s.clock, FORGET), 0)), L.resource)
  end
end

-- Brings a lock up to date after something about it may have changed: frees what lapsed, hands over what is free.
local function settle(s, L)
  drop_lapsed(s, L)
  hand_over(s, L)
  save_lock(s, L)
end

-- Adds up to `most` holders as replies carry them: about lease_id token acquired remaining mode state. Returns the
-- earliest deadline among them.
local function add_holders(s, L, reply, most)
  local flat, earliest
  if L.count <= most then
    flat = redis.call('HGETALL', L.key)
  else
    flat = redis.call('HRANDFIELD', L.key, 2 * most + 1, 'WITHVALUES')
  end
  local added = 0
  for i = 1, #flat, 2 do
    local name = flat[i]
    if added < most and is_lease(name) then
      local l = read_lease(flat[i + 1])
      if alive(s, l) then
        local n = #reply
        reply[n + 1], reply[n + 2], reply[n + 3] = redis.call('HGET', L.key, name .. '?'), name, l.token
        reply[n + 4], reply[n + 5], reply[n + 6] = l.acquired, int(l.deadline - s.clock), l.mode
        reply[n + 7] = l.state
        added = added + 1
        earliest = math.min(earliest or FAR, l.deadline)
      end
    end
  end
  return earliest
end
