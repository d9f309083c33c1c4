-- Operation views: put after operating.lua in the scripts that answer with operations. Owns what a reply says of one;
-- writes nothing.

-- A moment on the lease clock as Redis's TIME; '' for none.
local function wall(s, at)
  if at == 0 then return '' end
  return at > s.clock and int(s.now + at - s.clock) or s.time
end

-- Adds an operation as replies carry it, nine words: name, 's' and 'r' as they are recorded, how long the attempt has
-- left ('' unless running), the wall times of claimable ('' if it may be claimed now) and expires, data, progress and
-- outcome ('' for none). Without payloads data, progress and a result are left out, and not even read.
local function add_operation(s, reply, name, o, with_payloads)
  local left, claimable = '', ''
  if o.state == 'running' then
    left = living(s, o, (split_name(name))) and int(math.max(o.deadline - s.skew - s.clock, 0)) or '0'
  elseif o.state == 'pending' and o.claimable > s.clock then
    claimable = wall(s, o.claimable)
  end
  local data, progress, outcome = o.data, o.progress, o.outcome
  if with_payloads and not o.has_payloads then
    local payloads = redis.call('HMGET', operation_key(s, name), 'data', 'progress', 'outcome')
    data, progress, outcome = payloads[1], payloads[2], payloads[3]
  elseif not with_payloads and o.state ~= 'succeeded' and not is_open(o) then
    outcome = redis.call('HGET', operation_key(s, name), 'outcome')
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = name, o.spec, o.run, left
  reply[n + 5], reply[n + 6] = claimable, wall(s, o.expires)
  reply[n + 7], reply[n + 8], reply[n + 9] = data or '', progress or '', outcome or ''
end

-- How long the running attempt's worker may count on it.
local function attempt_left(s, o)
  return int(o.deadline - s.skew - s.clock)
end
