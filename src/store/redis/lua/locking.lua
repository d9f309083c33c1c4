-- Locking: stands after the prelude in the scripts that change who holds or waits. Owns the lock's summary, admission,
-- the queue and the direct hand-over.
--
-- Keys of a resource: lock:R (hash: leases by lease_id, '<lease_id>?' what people are told of each, ':' the summary),
-- queue:R (sorted set: live waiters by place), waiters:R (hash: waiters by lease_id, live or absent, '<lease_id>?' as
-- above). Keys of the bucket: deadlines (sorted set: a lock by the moment before which nothing about it changes by
-- itself), patience (sorted set: "lease_id resource" of waiters by the moment at which they are forgotten), absent
-- (hash: instances that let an offer lapse), offers:I (set: "lease_id call resource", the offers that instance I has
-- not confirmed), names (sorted set: the members of deadlines in the order of their bytes, to list them by). An
-- instance listens on the channel instance:I, and while it watches, on changes.

-- The most grants of one hand-over. The rest follows at once: the instance of the next in line hears that nothing
-- blocks it, and advances the queue. If that message is lost, the next tick does: a look is due at once.
local GRANTS = 500
local FAR = 9007199254740991 -- 2^53 - 1

-- The summary ":" is "mode count permits limits next taken_until": the holders' common mode ('mixed' where a roll call
-- put back what doesn't go together), their number, the sum of their permits, how many of them name each limit
-- ("10=2,20=1"), a lower bound of their deadlines, and the end of a min_hold. With it, admission costs the same for one
-- holder as for ten thousand. Returns the lock, and the recorded lease of `lease_id` if the caller names one. `fields`:
-- the summary and that lease, if the caller has read them.
local SUMMARY = '^(%S+) (%d+) (%d+) (%S+) (%d+) (%d+)$'

local function open_lock(state, resource, lease_id, fields)
  local lock = {
    resource = resource,
    key = state.bucket .. 'lock:' .. resource,
    queue = state.bucket .. 'queue:' .. resource,
    waiters = state.bucket .. 'waiters:' .. resource,
    mode = '-', count = 0, permits = 0, limits = '-', next = FAR, taken_until = 0,
  }
  fields = fields or redis.call('HMGET', lock.key, ':', lease_id or ':')
  local own = lease_id and fields[2]
  lock.summary = fields[1] or nil -- as it is recorded
  if lock.summary then
    local mode, count, permits, limits, next_, taken = string.match(lock.summary, SUMMARY)
    lock.mode, lock.count, lock.permits, lock.limits = mode, tonumber(count), tonumber(permits), limits
    lock.next, lock.taken_until = tonumber(next_), tonumber(taken)
  end
  return lock, own and read_lease(own)
end

-- Nearly every lock has one holder, exclusive and without bounds, and nobody waits for it. The forms of its summary and
-- its lease: acquire-lock.lua writes them as they are, and release-lock.lua takes out of them only what it needs. To
-- make a table of each, and of that a text, costs as much as all the rest of these scripts.
local SOLE_SUMMARY = '^exclusive 1 0 %- %d+ 0$'
local SOLE_LEASE = '^(%d+) (%d+) %d+ %d+ (%S+) (%S+) exclusive held'

-- A waiter is "place instance/call queued_at mode".
local function read_waiter(text)
  local place, stamp, queued_at, mode = string.match(text, '^(%d+) (%S+) (%d+) (%S+)$')
  return { place = place, stamp = stamp, queued_at = queued_at, mode = mode }
end

-- How many fields the waiters of the lock take, live or absent, two each, when this command looked first. Every member
-- of the queue is among them. So where this is 0, as it nearly always is, one look shows that nobody waits, and nothing
-- else is asked of the queue. (Who joins after the look counts, or a hand-over in the same command would pass it by.
-- Who leaves counts all the same.)
local function waiter_fields(lock)
  if not lock.waiter_fields then lock.waiter_fields = redis.call('HLEN', lock.waiters) end
  return lock.waiter_fields
end

-- The waiter of this id, nil for none.
local function find_waiter(lock, lease_id)
  local text = waiter_fields(lock) > 0 and redis.call('HGET', lock.waiters, lease_id)
  return text and read_waiter(text) or nil
end

-- Whether somebody stands in the queue. (An absent waiter does not.)
local function has_queue(lock)
  return waiter_fields(lock) > 0 and redis.call('EXISTS', lock.queue) == 1
end

-- Tells those who watch that the lock may have changed. They read for themselves how. Renewals tell nothing.
local function tell_watchers(state, resource)
  if state.watched then redis.call('PUBLISH', state.bucket .. 'changes', 'changed ' .. resource) end
end

-- Notes when to look at the lock again: FAR for never.
local function look_again(state, resource, at)
  if at == FAR then
    if redis.call('ZREM', state.bucket .. 'deadlines', resource) == 1 then
      redis.call('ZREM', state.bucket .. 'names', resource)
    end
  elseif redis.call('ZADD', state.bucket .. 'deadlines', int(at), resource) == 1 then
    redis.call('ZADD', state.bucket .. 'names', 0, resource)
  end
end

-- Writes the summary, and when to look at the lock again: when a holder may lapse; and while someone waits or a
-- min_hold lasts, when that or the quarantine is over. Every change of who holds or waits sets `lock.changed` and comes
-- here, so only this place tells those who watch.
local function save_lock(state, lock)
  if lock.count == 0 then lock.mode, lock.permits, lock.limits, lock.next = '-', 0, '-', FAR end
  if lock.count == 0 and lock.taken_until <= state.clock then
    if lock.summary then
      redis.call('HDEL', lock.key, ':', ':?')
      lock.summary, lock.changed = nil, true -- a min_hold is over
    end
  else
    local summary = lock.mode .. ' ' .. int(lock.count) .. ' ' .. int(lock.permits) .. ' ' .. lock.limits .. ' ' ..
      int(lock.next) .. ' ' .. int(lock.taken_until)
    if lock.added then
      redis.call('HSET', lock.key, ':', summary, unpack(lock.added))
      lock.added = nil
    elseif summary ~= lock.summary then
      redis.call('HSET', lock.key, ':', summary)
    end
    lock.summary = summary
  end
  local look = lock.more and state.clock or lock.next
  if lock.taken_until > state.clock then look = math.min(look, lock.taken_until) end
  if in_full_quarantine(state) or lock.count == 0 then
    if has_queue(lock) then
      -- A waiter may wait for its own lease, which it can be told of only at the full end.
      local waits_for_own = lock.count > 0 and not in_quarantine(state)
      local opens = waits_for_own and state.full_until or state.quarantine_until
      look = math.min(look, math.max(opens, lock.taken_until, state.clock))
    end
  end
  look_again(state, lock.resource, look)
  if lock.changed then tell_watchers(state, lock.resource) end
end

-- The moment before which the resource cannot become free by itself.
local function free_at(state, lock)
  return math.max(state.quarantine_until, lock.taken_until, lock.count > 0 and lock.next or 0)
end

local function permits_of(mode)
  if mode == 'exclusive' or mode == 'shared' then return end
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

-- The limit that counts for all: the smallest that a holder names. 0 unless permits are held.
local function limit_in_force(lock)
  return lock.mode == 'permits' and smallest_limit(lock.limits) or 0
end

local function count_in(lock, lease)
  local permits, limit = permits_of(lease.mode)
  local kind = permits and 'permits' or lease.mode
  lock.mode = (lock.count == 0 or lock.mode == kind) and kind or 'mixed'
  lock.count = lock.count + 1
  lock.next = math.min(lock.next, lease.deadline)
  if permits then lock.permits, lock.limits = lock.permits + permits, count_limit(lock.limits, limit, 1) end
end

-- `next` stays while there are others: it is a lower bound. (Only a look at each of those that are left shows whether
-- they go together.)
local function count_out(lock, lease)
  lock.count = lock.count - 1
  if lock.mode == 'mixed' then lock.next = 0 end
  if lock.count == 0 then lock.next = FAR end
  local permits, limit = permits_of(lease.mode)
  if permits then lock.permits, lock.limits = lock.permits - permits, count_limit(lock.limits, limit, -1) end
end

-- Adds a lease that `save_lock` then writes, together with the summary. Returns what is recorded of it.
local function add_holder(lock, lease_id, lease, about)
  local text, added = lease_text(lease), lock.added
  if added then
    local n = #added
    added[n + 1], added[n + 2], added[n + 3], added[n + 4] = lease_id, text, lease_id .. '?', about
  else
    lock.added = { lease_id, text, lease_id .. '?', about }
  end
  count_in(lock, lease)
  lock.changed = true
  return text
end

-- The min_holds of a lock, the last end of which is `taken_until`, are its field ':?': "token until" of each, with a
-- space between. Writes all but those that are over and that of `but`, with one more where there is one.
local function write_min_holds(state, lock, but, more)
  local known = redis.call('HGET', lock.key, ':?')
    or (lock.taken_until > state.clock and '0 ' .. int(lock.taken_until)) or '' -- of the former layout
  local kept = more and { more } or {}
  lock.taken_until = 0
  for token, until_ in string.gmatch(known, '(%d+) (%d+)') do
    if token ~= but and tonumber(until_) > state.clock then kept[#kept + 1] = token .. ' ' .. until_ end
  end
  for _, one in ipairs(kept) do lock.taken_until = math.max(lock.taken_until, tonumber(string.match(one, '%d+$'))) end
  redis.call('HSET', lock.key, ':?', table.concat(kept, ' '))
end

-- Makes the min_hold of a grant last until then at least.
local function raise_min_hold(state, lock, token, at_least)
  local known = string.match(' ' .. (redis.call('HGET', lock.key, ':?') or ''), ' ' .. token .. ' (%d+)')
  write_min_holds(state, lock, token, token .. ' ' .. int(math.max(at_least, tonumber(known or '0'))))
  lock.changed = true
end

local function add_min_hold(state, lock, lease, min_hold)
  if min_hold > 0 then write_min_holds(state, lock, '', lease.token .. ' ' .. int(state.clock + min_hold)) end
end

-- Ends the min_hold of a grant that nobody was told of. Other leases may have theirs, or had them before they ended.
local function end_min_hold(state, lock, lease)
  if lock.taken_until > state.clock then write_min_holds(state, lock, lease.token) end
end

local function offer_of(state, lock, lease_id, stamp)
  local instance, call = string.match(stamp, '^([^/]+)/(%d+)$')
  return state.bucket .. 'offers:' .. instance, lease_id .. ' ' .. call .. ' ' .. lock.resource
end

local function forget_offer(state, lock, lease_id, stamp)
  redis.call('SREM', offer_of(state, lock, lease_id, stamp))
end

-- `is_last`: nothing of the lock is left.
local function erase_holder(state, lock, lease_id, lease, is_last)
  if is_last then
    redis.call('DEL', lock.key)
    lock.summary = nil
  else
    redis.call('HDEL', lock.key, lease_id, lease_id .. '?')
  end
  -- For people. Here, because every lease that lapsed is removed here, and by one script only.
  if lease.state == 'held' and not blocks(state, lease) then redis.call('HINCRBY', state.meta, 'expired_leases', 1) end
  if lease.state == 'offer' then forget_offer(state, lock, lease_id, lease.stamp) end
  lock.changed = true
end

local function remove_holder(state, lock, lease_id, lease)
  erase_holder(state, lock, lease_id, lease, lock.count == 1 and lock.taken_until <= state.clock)
  count_out(lock, lease)
end

-- Whether a field of a lock's hash is a lease: not the summary, nor what people are told ('?' is 63).
local function is_lease(name)
  return name ~= ':' and string.byte(name, -1) ~= 63
end

-- Whether a holder may have lapsed: the lower bound is reached.
local function may_have_lapsed(state, lock)
  return lock.count > 0 and state.clock >= lock.next
end

-- Looks at each holder, and makes the summary that of the live ones. Calls `lapsed`, if it is given, for each of the
-- others.
local function recount(state, lock, lapsed)
  local flat = redis.call('HGETALL', lock.key)
  lock.mode, lock.count, lock.permits, lock.limits, lock.next = '-', 0, 0, '-', FAR
  for i = 1, #flat, 2 do
    if is_lease(flat[i]) then
      local lease = read_lease(flat[i + 1])
      if blocks(state, lease) then
        count_in(lock, lease)
      elseif lapsed then
        lapsed(flat[i], lease)
      end
    end
  end
end

-- Forgets the holders that lapsed. A lapsed offer marks its whole instance as absent: the instance did not answer
-- within the window, and each of its waiters whose turn comes would cost the others another one.
local function drop_lapsed(state, lock)
  if not may_have_lapsed(state, lock) then return end
  local recorded = lock.count
  recount(state, lock, function(lease_id, lease)
    erase_holder(state, lock, lease_id, lease)
    -- (Not one of a former reign: its instance had no chance to confirm.)
    if lease.state == 'offer' and not is_inherited(state, lease) then
      redis.call('HSET', state.bucket .. 'absent', instance_of(lease.stamp), int(state.clock))
    end
  end)
  -- Also when an earlier script dropped them and had no reason to save the lock.
  if lock.count ~= recorded then lock.changed = true end
end

-- Whether a lease in `mode` goes together with the live holders. For permits the smallest limit counts that anybody
-- names, so that a rollout which changes the limit converges.
local function admits(lock, mode)
  if lock.count == 0 then
    local permits, limit = permits_of(mode)
    return not permits or permits <= limit
  end
  if mode == 'shared' then return lock.mode == 'shared' end
  local permits, limit = permits_of(mode)
  if not permits or lock.mode ~= 'permits' then return false end
  return lock.permits + permits <= math.min(limit, smallest_limit(lock.limits))
end

local function write_waiter(lock, lease_id, waiter, about)
  local text = waiter.place .. ' ' .. waiter.stamp .. ' ' .. waiter.queued_at .. ' ' .. waiter.mode
  redis.call('HSET', lock.waiters, lease_id, text, lease_id .. '?', about)
  lock.waiter_fields = math.max(lock.waiter_fields or 0, 2)
end

-- Puts a waiter at its place; a new one at the tail.
local function enqueue(state, lock, lease_id, waiter, about)
  if not waiter.place then waiter.place = int(redis.call('HINCRBY', state.meta, 'place', 1)) end
  write_waiter(lock, lease_id, waiter, about)
  -- (Not where a waiter asks again.)
  if redis.call('ZADD', lock.queue, waiter.place, lease_id) == 1 then lock.changed = true end
  local forgotten_at = int(state.clock + FORGOTTEN_AFTER)
  redis.call('ZADD', state.bucket .. 'patience', forgotten_at, lease_id .. ' ' .. lock.resource)
end

-- Takes a waiter out of the live queue, so that skipping it costs nothing. Its place is remembered for a while.
local function set_absent(state, lock, lease_id, for_us)
  if redis.call('ZREM', lock.queue, lease_id) == 1 then lock.changed = true end
  redis.call('ZADD', state.bucket .. 'patience', int(state.clock + for_us), lease_id .. ' ' .. lock.resource)
end

local function forget_waiter(state, lock, lease_id)
  if redis.call('ZREM', lock.queue, lease_id) == 1 then lock.changed = true end
  redis.call('HDEL', lock.waiters, lease_id, lease_id .. '?')
  redis.call('ZREM', state.bucket .. 'patience', lease_id .. ' ' .. lock.resource)
end

-- The next in the queue, one or two, with what decides about them: the lease that it has, and whether its instance is
-- absent.
local function read_line(state, lock, most)
  local ids = redis.call('ZRANGE', lock.queue, 0, most - 1)
  local line = { is_all = #ids < most } -- nobody stands behind them
  if #ids == 0 then return line end
  local fields, instances = {}, {}
  for i, lease_id in ipairs(ids) do fields[2 * i - 1], fields[2 * i] = lease_id, lease_id .. '?' end
  local texts = redis.call('HMGET', lock.waiters, unpack(fields))
  local leases = lock.count > 0 and redis.call('HMGET', lock.key, unpack(ids)) or {}
  for i, lease_id in ipairs(ids) do
    local waiter = read_waiter(texts[2 * i - 1])
    waiter.lease_id, waiter.about, waiter.own = lease_id, texts[2 * i], leases[i] and read_lease(leases[i])
    line[i], instances[i] = waiter, instance_of(waiter.stamp)
  end
  local absent = redis.call('HMGET', state.bucket .. 'absent', unpack(instances))
  for i, waiter in ipairs(line) do waiter.is_absent = absent[i] end
  return line
end

local function offer(state, lock, waiter)
  local lease_id, stamp = waiter.lease_id, waiter.stamp
  add_holder(lock, lease_id, {
    token = next_token(state), deadline = state.clock + OFFER_WINDOW, ttl = 0, ceiling = 0,
    acquired = state.time, stamp = stamp, mode = waiter.mode, state = 'offer', epoch = state.epoch,
  }, waiter.about)
  redis.call('SADD', offer_of(state, lock, lease_id, stamp))
end

-- Grants the next live waiters what is free, in this very step, and tells their instances. Then tells the next in line
-- when what blocks it may lapse. Nobody is asked, nobody polls, and the cost does not depend on how many wait. With
-- `if_granted` the next in line hears something only if somebody was granted: otherwise nothing has changed for it.
-- Returns the number of grants, which `save_lock` then writes.
local function hand_over(state, lock, if_granted)
  local may_grant = not in_quarantine(state) and state.clock >= lock.taken_until
  if waiter_fields(lock) == 0 or if_granted and not may_grant then return 0 end
  -- Two at once, because when the first one is granted, the second one is told what it waits for.
  local most = if_granted and 1 or 2
  local grants, line = 0, read_line(state, lock, most)
  while may_grant and line[1] and grants < GRANTS do
    local waiter = line[1]
    local lease_id, own = waiter.lease_id, waiter.own
    local has_lease = own and blocks(state, own)
    if waiter.is_absent then
      set_absent(state, lock, lease_id, FORGOTTEN_AFTER)
    elseif waiter.place == '0' and not has_lease then
      -- It stood before the others because it had a lease. That has lapsed, and now it is one of them.
      waiter.place = nil
      enqueue(state, lock, lease_id, waiter, waiter.about)
      line = {}
    else
      if has_lease then
        -- A waiting call repeats this very lease, which has outlived a quarantine: it gets the same one, never a second
        -- one beside it. (A shared lease would admit that, and its token would overwrite one that somebody counts on.)
        if not may_tell(state, own) then break end
        own.stamp = waiter.stamp
        redis.call('HSET', lock.key, lease_id, lease_text(own))
      else
        if not admits(lock, waiter.mode) then break end
        offer(state, lock, waiter)
      end
      forget_waiter(state, lock, lease_id)
      tell(state, waiter.stamp, 'offered', lease_id, '0', lock.resource)
      grants = grants + 1
    end
    table.remove(line, 1)
    if not line[1] and not line.is_all then line = read_line(state, lock, most) end
  end
  lock.more = grants == GRANTS
  local next_ = line[1]
  if next_ and not (if_granted and grants == 0) then
    local blocked = lock.more and 0 or math.max(math.min(free_at(state, lock) - state.clock, FORGOTTEN_AFTER), 0)
    tell(state, next_.stamp, 'next', next_.lease_id, int(blocked), lock.resource)
  end
  return grants
end

-- Brings a lock up to date when something about it may have changed: frees what lapsed, and hands over what is free.
local function settle(state, lock)
  drop_lapsed(state, lock)
  hand_over(state, lock)
  save_lock(state, lock)
end

-- Adds up to `most` holders, each as "about lease_id token acquired remaining mode state". Returns the earliest of
-- their deadlines.
local function add_holders(state, lock, reply, most)
  local flat, earliest
  if lock.count <= most then
    flat = redis.call('HGETALL', lock.key)
  else
    flat = redis.call('HRANDFIELD', lock.key, 2 * most + 1, 'WITHVALUES')
  end
  local added = 0
  for i = 1, #flat, 2 do
    local name = flat[i]
    if added < most and is_lease(name) then
      local lease = read_lease(flat[i + 1])
      if blocks(state, lease) then
        local n = #reply
        reply[n + 1], reply[n + 2], reply[n + 3] = redis.call('HGET', lock.key, name .. '?'), name, lease.token
        reply[n + 4], reply[n + 5], reply[n + 6] = lease.acquired, int(lease.deadline - state.clock), lease.mode
        reply[n + 7] = lease.state
        added = added + 1
        earliest = math.min(earliest or FAR, lease.deadline)
      end
    end
  end
  return earliest
end

-- The reply to a call that can't have the lock: why (it is held, others come first, or a min_hold lasts), for how long
-- at least, how many wait, and some of the holders.
local function contended(state, lock, mode)
  local word = 'held'
  if admits(lock, mode) then word = state.clock < lock.taken_until and 'min-hold' or 'ahead' end
  local time_left = math.max(free_at(state, lock) - state.clock, 0)
  local reply = { word, state.time, int(time_left), int(redis.call('ZCARD', lock.queue)) }
  local earliest = add_holders(state, lock, reply, 4)
  if earliest then reply[3] = int(math.max(earliest, lock.taken_until, state.quarantine_until) - state.clock) end
  return reply
end

-- Makes an offer a lease; or extends it if it is one already, because somebody may have been told of it. Says which.
local function accept(state, lock, lease, ttl, min_hold, max_hold)
  if lease.state ~= 'offer' then
    extend(state, lease, ttl)
    return 'repeated'
  end
  add_min_hold(state, lock, lease, min_hold)
  hold(state, lease, ttl, max_hold)
  lock.changed = true
  return 'granted'
end

-- The reply that tells a call of its lease. Behind it stands what the instance has to remember of that.
local function told(state, lock, word, lease, text, took)
  return { word, state.time, lease.token, remaining(state, lease.deadline), int(limit_in_force(lock)), int(state.clock),
    text, took }
end
