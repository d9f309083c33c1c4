-- Views: put after locking.lua in the scripts that show locks to people. Writes nothing. A view is what replies carry
-- of one lock:
--   resource min_hold_left holders permits limit waiters listed_waiters listed_holders
--     {about lease_id queued_at mode}... {about lease_id token acquired remaining mode state}...
-- `holders`, `permits` and `limit` (the smallest that a holder names; 0 without permits) are of the live ones; a waiter is
-- a live one, in order; holders are the oldest grants first.

-- A lock without what has lapsed but was not swept.
local function look_at(s, resource)
  local L = open_lock(s, resource)
  recount(s, L)
  return L
end

-- Live holders, the oldest grant first.
local function oldest_holders(s, L)
  local flat = redis.call('HGETALL', L.key)
  local holders = {}
  for i = 1, #flat, 2 do
    if is_lease(flat[i]) then
      local l = read_lease(flat[i + 1])
      if alive(s, l) then
        l.lease_id, l.number = flat[i], tonumber(l.token)
        holders[#holders + 1] = l
      end
    end
  end
  table.sort(holders, function(a, b) return a.number < b.number end)
  return holders
end

-- Adds the view of a lock, with up to `most` waiters and `most` holders. Where there are more holders than
-- `most_sorted`, some are listed and not the oldest: to find those it would have to look at every one.
local function add_view(s, L, reply, most, most_sorted)
  local start = #reply
  local ids = redis.call('ZRANGE', L.queue, 0, most - 1)
  local limit = L.mode == 'permits' and smallest_limit(L.limits) or 0
  local head = {
    L.resource, int(math.max(L.taken_until - s.clock, 0)), int(L.count), int(L.permits), int(limit),
    int(redis.call('ZCARD', L.queue)), int(#ids), '0',
  }
  for i = 1, 8 do reply[start + i] = head[i] end
  for _, lease_id in ipairs(ids) do
    local w = read_waiter(redis.call('HGET', L.waiters, lease_id))
    local n = #reply
    reply[n + 1], reply[n + 2] = redis.call('HGET', L.waiters, lease_id .. '?'), lease_id
    reply[n + 3], reply[n + 4] = w.queued_at, w.mode
  end
  local holders_from = #reply
  if L.count > most_sorted then
    add_holders(s, L, reply, most)
  elseif L.count > 0 then
    local holders = oldest_holders(s, L)
    for i = 1, math.min(most, #holders) do
      local l, n = holders[i], #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = redis.call('HGET', L.key, l.lease_id .. '?'), l.lease_id, l.token
      reply[n + 4], reply[n + 5], reply[n + 6] = l.acquired, int(l.deadline - s.clock), l.mode
      reply[n + 7] = l.state
    end
  end
  reply[start + 8] = int((#reply - holders_from) / 7)
end
