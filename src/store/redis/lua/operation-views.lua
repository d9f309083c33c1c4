-- Operation views: put after operating.lua in the scripts that answer with operations. Owns what a reply says of one;
-- writes nothing.

local function wall(s, at)
  return at > s.clock and int(s.now + at - s.clock) or int(s.now)
end

-- Adds a record as replies carry it: its JSON, data, progress, outcome ('' for none). Without payloads data, progress
-- and a result are left out, and not even read.
local function add_operation(s, reply, name, o, with_payloads)
  local resource, id = split_name(name)
  local left
  if o.state == 'running' then
    left = living(s, o, resource) and int(math.max(o.deadline - s.skew - s.clock, 0)) or '0'
  end
  local shown = {
    resource = resource, id = id, type = o.type, state = o.state, version = o.version, owner = o.owner,
    labels = o.labels, number = o.number, counted = o.counted, max = o.max, token = o.token,
    cancel = o.cancel, reason = o.reason, exclusive = o.exclusive, lock = o.lock, heartbeat = int(o.heartbeat),
    left = left, created = int(o.created), updated = int(o.updated),
    started = o.started > 0 and int(o.started) or nil, finished = o.finished > 0 and int(o.finished) or nil,
    claimable = o.state == 'pending' and o.claimable > s.clock and wall(s, o.claimable) or nil,
    expires = o.expires > 0 and wall(s, o.expires) or nil,
    retention = {
      succeeded = int(o.retention.succeeded), failed = int(o.retention.failed),
      cancelled = int(o.retention.cancelled), dead = int(o.retention.dead),
    },
  }
  if o.lock then
    shown.lock = {
      mode = o.lock.mode, ttl = int(o.lock.ttl), min_hold = int(o.lock.min_hold), max_hold = int(o.lock.max_hold),
      owner = o.lock.owner, metadata = o.lock.metadata, acks = o.lock.acks,
    }
  end
  local n, key = #reply, operation_key(s, name)
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = cjson.encode(shown), '', '', ''
  if with_payloads then
    local payloads = redis.call('HMGET', key, 'data', 'progress', 'outcome')
    reply[n + 2], reply[n + 3], reply[n + 4] = payloads[1] or '', payloads[2] or '', payloads[3] or ''
  elseif o.state ~= 'succeeded' and not is_open(o) then
    reply[n + 4] = redis.call('HGET', key, 'outcome') or ''
  end
end

-- How long the running attempt's worker may count on it.
local function attempt_left(s, o)
  return int(o.deadline - s.skew - s.clock)
end
