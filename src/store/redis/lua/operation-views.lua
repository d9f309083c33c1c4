-- Operation views: stands after operating.lua in the scripts that answer with operations. Owns what a reply says of
-- one. Writes nothing.

-- A moment on the lease clock as Redis's TIME; '' for none.
local function wall_time(state, at)
  if at == 0 then return '' end
  return at > state.clock and int(state.now + at - state.clock) or state.time
end

-- Adds an operation as replies carry it, nine words: name, 's' and 'r' as they are recorded, how long the attempt has
-- left ('' unless running), the wall times of claimable ('' if a claim can get it now) and expires, data, progress and
-- outcome ('' for none). Without payloads it leaves out data, progress and a result, and doesn't even read them.
local function add_operation(state, reply, name, op, with_payloads)
  local left, claimable = '', ''
  if op.state == 'running' then
    left = living(state, op, name) and int(math.max(op.deadline - SKEW - state.clock, 0)) or '0'
  elseif op.state == 'pending' and op.claimable > state.clock then
    claimable = wall_time(state, op.claimable)
  end
  local data, progress, outcome = op.data, op.progress, op.outcome
  if with_payloads and not op.has_payloads then
    local payloads = redis.call('HMGET', operation_key(state, name), 'data', 'progress', 'outcome')
    data, progress, outcome = payloads[1], payloads[2], payloads[3]
  elseif not with_payloads and op.state ~= 'succeeded' and not is_open(op) then
    outcome = redis.call('HGET', operation_key(state, name), 'outcome')
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = name, op.spec, op.run, left
  reply[n + 5], reply[n + 6] = claimable, wall_time(state, op.expires)
  reply[n + 7], reply[n + 8], reply[n + 9] = data or '', progress or '', outcome or ''
end

-- The answer to what changes an operation. `is_done`: this call did it, and not one before. The lease clock is for told
-- memory, where the change released a lease.
local function changed_reply(state, name, op, is_done)
  local reply = { 'changed', state.time, is_done and '1' or '0', deaths(state), int(state.clock) }
  add_operation(state, reply, name, op, true)
  return reply
end

-- How long the worker can count on its running attempt.
local function attempt_left(state, op)
  return int(op.deadline - SKEW - state.clock)
end

-- The lease clock and what is recorded of the lease of an attempt, for told memory.
local function attempt_lease(state, op, resource)
  return int(state.clock) .. ' ' .. lease_text(lease_of(state, op, resource))
end

-- How long the worker can count on it, and what the instance has to remember of it.
local function attempt_told(state, op, resource)
  return attempt_left(state, op) .. ' ' .. (op.lock and attempt_lease(state, op, resource) or int(state.clock))
end
