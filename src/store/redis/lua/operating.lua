-- Operating: put after operation-records.lua in the scripts that read or change operations. Owns the indices of the
-- records, what happens to them by itself, and the attempts.
--
-- Keys of the bucket: operations (sorted set: all names in the order of their bytes), operation-deadlines (sorted set:
-- a name by the moment before which nothing about it happens by itself), claimable:<type> (sorted set: what may be
-- claimed, by age), open (hash: how many operations of a resource are open, 'x' where it is an exclusive one, which is
-- alone), claims (hash: claim_id to the names that it claimed, a line each).

-- The lock of the attempt and its lease, if that is what the attempt says: held, alive, with the attempt's token.
local function lease_of(s, o, resource)
  local text = redis.call('HGET', s.bucket .. 'lock:' .. resource, o.claim)
  local l = text and read_lease(text)
  if l and l.token == o.token and l.state == 'held' and alive(s, l) then return l end
end

-- Whether its attempt lives, and its deadline as far as it is known.
local function living(s, o, resource)
  if not o.lock then return alive(s, o) end
  local l = lease_of(s, o, resource)
  if l then o.deadline = math.max(o.deadline, l.deadline) end
  return l ~= nil
end

local function tell_of_operation(s, name)
  if s.watched then redis.call('PUBLISH', s.bucket .. 'changes', 'operation ' .. name) end
end

-- Tells the stream that speaks for the attempt, if it is one, to look.
local function tell_attempt(s, o, name, word)
  if is_of_stream(o.stamp) then tell(s, o.stamp, word, o.claim, '0', name) end
end

-- The moment at which something about it happens by itself. (Of a stale one only the end of its time is left.)
local function next_moment(s, o, is_stale)
  if not is_open(o) then return o.expires end
  local at = FAR
  if o.state == 'running' and not is_stale then return o.deadline end
  if o.state == 'running' then
    if o.expires > 0 then at = math.max(o.expires, o.deadline + s.room) end
    return at
  end
  if o.expires > 0 then at = o.expires end
  if o.claimable > s.clock then at = math.min(at, o.claimable) end
  return at
end

local function note_open(s, name, o)
  local open, resource = s.bucket .. 'open', split_name(name)
  local now_open = is_open(o)
  if now_open == o.was_open then return end
  o.was_open = now_open
  if o.exclusive and now_open then
    redis.call('HSET', open, resource, 'x')
  elseif o.exclusive or redis.call('HINCRBY', open, resource, now_open and 1 or -1) == 0 then
    redis.call('HDEL', open, resource)
  end
end

-- Writes the record and brings its indices up to date.
local function save_operation(s, name, o, is_stale)
  local at = next_moment(s, o, is_stale)
  if at ~= FAR then
    redis.call('ZADD', s.bucket .. 'operation-deadlines', int(at), name)
  elseif not o.is_new then
    redis.call('ZREM', s.bucket .. 'operation-deadlines', name)
  end
  local indexed = is_stale or (o.state == 'pending' and o.claimable <= s.clock)
  if indexed ~= o.indexed then
    o.indexed = indexed
    if indexed then
      redis.call('ZADD', s.bucket .. 'claimable:' .. o.type, o.seq, name)
      if s.watched then redis.call('PUBLISH', s.bucket .. 'changes', 'claimable ' .. o.type) end
    else
      redis.call('ZREM', s.bucket .. 'claimable:' .. o.type, name)
    end
  end
  note_open(s, name, o)
  write_operation(s, name, o)
end

-- A change that people see.
local function change_operation(s, name, o, is_stale)
  o.version, o.updated = o.version + 1, s.time
  save_operation(s, name, o, is_stale)
  tell_of_operation(s, name)
end

-- A change that people see of a living attempt: the indices stay as they are, for they hold lower bounds.
local function amend_operation(s, name, o)
  o.version, o.updated = o.version + 1, s.time
  write_operation(s, name, o)
  tell_of_operation(s, name)
end

local function forget_claim_of(s, name, claim)
  local names = redis.call('HGET', s.bucket .. 'claims', claim)
  if not names then return end
  local left = {}
  for one in string.gmatch(names, '[^\n]+') do
    if one ~= name then left[#left + 1] = one end
  end
  if #left == 0 then
    redis.call('HDEL', s.bucket .. 'claims', claim)
  else
    redis.call('HSET', s.bucket .. 'claims', claim, table.concat(left, '\n'))
  end
end

-- What the record knows of it; `claims` is for the caller to write.
local function remember_claim(s, name, o, claim)
  local forgotten
  o.claims, forgotten = add_word(o.claims, claim, CLAIMS)
  put_along(o, 'k', o.requests .. '\t' .. o.claims)
  if forgotten then forget_claim_of(s, name, forgotten) end
end

local function remove_operation(s, name, o)
  for claim in string.gmatch(o.claims, '%S+') do forget_claim_of(s, name, claim) end
  redis.call('DEL', operation_key(s, name))
  redis.call('ZREM', s.bucket .. 'operations', name)
  redis.call('ZREM', s.bucket .. 'operation-deadlines', name)
  if o.indexed then redis.call('ZREM', s.bucket .. 'claimable:' .. o.type, name) end
  o.state = 'removed'
  note_open(s, name, o)
  tell_of_operation(s, name)
end

-- Its last state, from which its retention counts.
local function finish_operation(s, name, o, state, outcome)
  o.state, o.finished, o.claimable, o.outcome = state, s.time, 0, outcome
  o.expires = s.clock + tonumber(o['keep_' .. state])
  put_along(o, 'outcome', outcome)
  change_operation(s, name, o)
end

-- Does what is due about an operation by itself: it goes when its retention is over, becomes dead when its time or its
-- attempts are used up, and claimable when it is stale or its delay over. Returns the record, nil where there is none
-- (any more), and whether it is stale.
local function settle_operation(s, name, o)
  if not is_open(o) then
    if o.expires > s.clock then return o end
    remove_operation(s, name, o)
    return nil
  end
  if o.state == 'pending' then
    if o.expires > 0 and o.expires <= s.clock then
      finish_operation(s, name, o, 'dead', s.dead_by_time)
    elseif o.claimable > 0 and o.claimable <= s.clock then
      o.claimable = 0
      save_operation(s, name, o)
    end
    return o
  end
  local before = o.deadline
  if living(s, o, (split_name(name))) then
    if o.deadline ~= before then save_operation(s, name, o) end
    return o
  end
  if o.counted >= o.max then
    tell_attempt(s, o, name, 'attempt-look')
    finish_operation(s, name, o, 'dead', s.dead_by_attempts)
    return o
  end
  if o.expires > 0 and math.max(o.expires, o.deadline + s.room) <= s.clock then
    finish_operation(s, name, o, 'dead', s.dead_by_time)
    return o
  end
  save_operation(s, name, o, true)
  return o, true
end

-- Looks at what is due, `most` at a time. The index holds lower bounds: a heartbeat writes none.
local function sweep_operations(s, most)
  local due = redis.call('ZRANGE', s.bucket .. 'operation-deadlines', '-inf', int(s.clock), 'BYSCORE',
    'LIMIT', 0, most)
  for _, name in ipairs(due) do
    local o = read_operation(s, name)
    if o then
      local left = settle_operation(s, name, o)
      -- It lives longer than the index knew.
      if left and left.state == 'running' and left.deadline > s.clock then
        redis.call('ZADD', s.bucket .. 'operation-deadlines', 'XX', 'GT', int(left.deadline), name)
      end
    else
      redis.call('ZREM', s.bucket .. 'operation-deadlines', name)
    end
  end
  return #due
end

-- Takes the lease of an attempt. Returns it, or nil and the lock where it can't be had: `settle` or `save_lock` is then
-- the caller's to do if it wants what has lapsed to be seen.
local function take_lock(s, o, resource, claim, stamp, owner_json)
  local lock = o.lock
  local L, own = open_lock(s, resource, claim)
  drop_lapsed(s, L)
  if own and alive(s, own) then return nil, L end
  if redis.call('ZCARD', L.queue) > 0 or s.clock < L.taken_until or not admits(L, lock.mode) then return nil, L end
  local l = {
    token = next_token(s), deadline = 0, ttl = lock.ttl, ceiling = 0,
    acquired = s.time, stamp = stamp, mode = lock.mode, state = 'held',
  }
  hold(s, l, lock.ttl, lock.max_hold)
  local owner = lock.owner ~= '""' and lock.owner or owner_json
  add_holder(L, claim, l, '[' .. owner .. ',' .. lock.metadata .. ']')
  add_min_hold(s, L, l, lock.min_hold)
  save_lock(s, L)
  return l, L
end

-- Makes a pending or stale operation run. Returns false and the lock where that can't be had; nothing was changed then.
-- `is_claimed`: by a claim, whose repeat is to find it.
local function start_attempt(s, name, o, claim, stamp, owner, owner_json, is_claimed)
  local resource = split_name(name)
  local token, deadline
  if o.lock then
    local l, L = take_lock(s, o, resource, claim, stamp, owner_json)
    if not l then return false, L end
    token, deadline = l.token, l.deadline
  else
    token, deadline = next_token(s), deadline_after(s, o.heartbeat)
  end
  tell_attempt(s, o, name, 'attempt-look') -- the stale one's stream
  o.state, o.claim, o.stamp, o.token, o.deadline = 'running', claim, stamp, token, deadline
  o.number, o.counted, o.owner, o.started, o.claimable = o.number + 1, o.counted + 1, owner, s.time, 0
  if is_claimed then remember_claim(s, name, o, claim) end
  change_operation(s, name, o)
  return true
end

-- Moves the deadline of a living attempt on, its lease's with it. Says whether it is at the end of its max_hold.
local function extend_attempt(s, o, resource)
  if not o.lock then
    o.deadline = math.max(o.deadline, deadline_after(s, o.heartbeat))
    return false
  end
  local l = lease_of(s, o, resource)
  extend(s, l, l.ttl)
  l.stamp = o.stamp
  redis.call('HSET', s.bucket .. 'lock:' .. resource, o.claim, lease_text(l))
  o.deadline = l.deadline
  return l.ceiling > 0 and l.deadline >= l.ceiling
end

-- A heartbeat writes no index.
local function note_heartbeat(s, name, o)
  write_operation(s, name, o)
end

-- Why an attempt may not write, or nil.
local function refusal_of(s, name, o, claim, token)
  local is_its = o.claim == claim and o.token == token
  if o.state ~= 'running' then
    return is_its and not is_open(o) and 'wrong-state' or 'stale-attempt'
  end
  if not is_its or not living(s, o, (split_name(name))) then return 'stale-attempt' end
end

local function release_attempt(s, o, resource)
  if not o.lock then return end
  local L = open_lock(s, resource)
  local text = redis.call('HGET', L.key, o.claim)
  local l = text and read_lease(text)
  if not l or l.token ~= o.token then return end
  remove_holder(s, L, o.claim, l)
  settle(s, L)
end

local function is_one_of(state, list)
  return state == list or string.find(',' .. list .. ',', ',' .. state .. ',', 1, true) ~= nil
end

-- Whether an open operation of the resource stands in the way of one that is to be opened.
local function is_open_elsewhere(s, resource, exclusive)
  local open = redis.call('HGET', s.bucket .. 'open', resource)
  return open == 'x' or (exclusive and open ~= false)
end
