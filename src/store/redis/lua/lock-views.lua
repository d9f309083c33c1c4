-- Views: stands after locking.lua in the scripts that show locks to people. Writes nothing. A view is what a reply says
-- of one lock:
--   resource min_hold_left holders permits limit waiters listed_waiters listed_holders
--     {about lease_id queued_at mode}... {about lease_id token acquired remaining mode state}...
-- `holders`, `permits` and `limit` count live holders; `limit` is the smallest that one of them names, 0 without
-- permits. The waiters are the live ones in their order. Of the holders the oldest grant comes first.

-- The lock without leases that have lapsed and that nobody has swept yet.
local function look_at(state, resource)
  local lock = open_lock(state, resource)
  if may_have_lapsed(state, lock) then recount(state, lock) end
  return lock
end

-- Live holders, the oldest grant first.
local function oldest_holders(state, lock)
  local flat = redis.call('HGETALL', lock.key)
  local holders = {}
  for i = 1, #flat, 2 do
    if is_lease(flat[i]) then
      local lease = read_lease(flat[i + 1])
      if blocks(state, lease) then
        lease.lease_id, lease.number = flat[i], tonumber(lease.token)
        holders[#holders + 1] = lease
      end
    end
  end
  table.sort(holders, function(a, b) return a.number < b.number end)
  return holders
end

-- Adds the view of a lock, with up to `most` waiters and `most` holders. With more than `most_sorted` holders it lists
-- any of them, not the oldest: to find those it would have to look at each.
local function add_view(state, lock, reply, most, most_sorted)
  local start = #reply
  local ids = redis.call('ZRANGE', lock.queue, 0, most - 1)
  local limit = limit_in_force(lock)
  local head = {
    lock.resource, int(math.max(lock.taken_until - state.clock, 0)), int(lock.count), int(lock.permits), int(limit),
    int(redis.call('ZCARD', lock.queue)), int(#ids), '0',
  }
  for i = 1, 8 do reply[start + i] = head[i] end
  for _, lease_id in ipairs(ids) do
    local waiter = read_waiter(redis.call('HGET', lock.waiters, lease_id))
    local n = #reply
    reply[n + 1], reply[n + 2] = redis.call('HGET', lock.waiters, lease_id .. '?'), lease_id
    reply[n + 3], reply[n + 4] = waiter.queued_at, waiter.mode
  end
  local holders_from = #reply
  if lock.count > most_sorted then
    add_holders(state, lock, reply, most)
  elseif lock.count > 0 then
    local holders = oldest_holders(state, lock)
    for i = 1, math.min(most, #holders) do
      local lease, n = holders[i], #reply
      reply[n + 1], reply[n + 2] = redis.call('HGET', lock.key, lease.lease_id .. '?'), lease.lease_id
      reply[n + 3] = lease.token
      reply[n + 4], reply[n + 5], reply[n + 6] = lease.acquired, int(lease.deadline - state.clock), lease.mode
      reply[n + 7] = lease.state
    end
  end
  reply[start + 8] = int((#reply - holders_from) / 7)
end
