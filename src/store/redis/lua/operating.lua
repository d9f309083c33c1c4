-- Operating: stands after operation-records.lua in the scripts that read or change operations. Owns the indices of the
-- records, what happens to them by itself, and the attempts.
--
-- Keys of the bucket: operations (sorted set: all names in the order of their bytes), operation-deadlines (sorted set:
-- a name by the moment before which nothing about it happens by itself), claimable:<type> (sorted set: what a claim can
-- get, by age), open (hash: how many operations of a resource are open, or 'x' for an exclusive one, which is alone),
-- claims (hash: claim_id to the names that it claimed, a line each), bars (hash: what instances told of and these data
-- lack, as answer-attempts.lua writes it).

-- The record of the lease that the attempt speaks of, whatever became of it; nil if there is none any more.
local function recorded_lease(state, op, resource)
  local lease = find_lease(state.bucket .. 'lock:' .. resource, op.claim)
  if lease and lease.token == op.token then return lease end
end

-- The same, if it is held and alive.
local function lease_of(state, op, resource)
  local lease = recorded_lease(state, op, resource)
  if lease and lease.state == 'held' and renewable(state, lease) then return lease end
end

-- Whether an attempt that does not live may be alive when all have answered the roll call: its lease is put back, or it
-- gets more time. Not if an administrator took its lease away: nobody gives that back.
local function may_live_again(state, op, name)
  if not may_be_put_back(state) then return false end
  local lease = recorded_lease(state, op, (split_name(name)))
  return not lease or lease.state ~= 'revoked'
end

-- The largest tokens at the adoption of this reign and at the one before. (A version that recorded neither may have
-- adopted it: then each attempt counts as inherited from long ago.)
local function adoption_tokens(state)
  if not state.adoption_tokens then
    local recorded = redis.call('HMGET', state.meta, 'token_at', 'token_older')
    state.adoption_tokens = { at = tonumber(recorded[1] or FAR), older = tonumber(recorded[2] or FAR) }
  end
  return state.adoption_tokens
end

-- Whether a former reign started its attempt. It bears no epoch, but tokens grow.
local function is_inherited_attempt(state, op)
  return tonumber(op.token) <= adoption_tokens(state).at
end

-- Whether it may have been told to nobody: A starts an attempt, B rules and starts another one of the operation, and A
-- is chosen again. So it is not repeated before the full end.
local function is_unproved_attempt(state, op)
  return in_full_quarantine(state) and is_inherited_attempt(state, op)
end

-- Whether its attempt lives. Brings the deadline up to date with that of the lease. An inherited one without a lease
-- that had little time left at the adoption is over, as a lease is, or at the one before, unless it began between the
-- two: the tokens tell. But what still has time at the full end was heard of under this reign.
-- Nor does an inherited one live where a later one of its operation was told of: an isolated primary A takes heartbeats
-- that nobody is told of, B starts the later one, and A is chosen again.
local function living(state, op, name)
  local is_unproved = is_unproved_attempt(state, op)
  if is_unproved then
    local later = redis.call('HGET', state.bucket .. 'bars', name)
    if later and tonumber(string.match(later, '^%d+')) > tonumber(op.token) then return false end
  end
  if not op.lock then
    if op.deadline <= state.clock or not is_unproved then return op.deadline > state.clock end
    return op.deadline >= inherited_bar(state, tonumber(op.token) > adoption_tokens(state).older)
  end
  local lease = lease_of(state, op, (split_name(name)))
  if lease then op.deadline = math.max(op.deadline, lease.deadline) end
  return lease ~= nil
end

-- Whether the attempt, which no longer lives, keeps others from starting: what is over by the clock of this primary may
-- go on by the clock of the worker, until its deadline. As the lease, if it has one, which an administrator may have
-- revoked.
local function keeps_others_out(state, op, name)
  if not in_full_quarantine(state) then return false end
  if op.lock then
    local lease = recorded_lease(state, op, (split_name(name)))
    if not lease or not blocks(state, lease) then return false end
    op.deadline = math.max(op.deadline, lease.deadline)
  end
  return op.deadline > state.clock
end

-- Until when an attempt of this operation may run that these data lack, nil for none. The interleaving: A starts one,
-- and dies before its replica has that. B's roll call ends the quarantine early. What the instance told is a bar there:
-- without it the operation, which these data know as pending or not at all, would be started beside it. At the full end
-- all that was told is over.
local function barred_until(state, name)
  if not in_full_quarantine(state) then return nil end
  local bar = redis.call('HGET', state.bucket .. 'bars', name)
  local deadline = bar and math.min(tonumber(string.match(bar, '^%d+ (%d+)')), state.full_until)
  return deadline and deadline > state.clock and deadline or nil
end

-- The same of other operations of its resource, where they must not be open at the same time.
local function barred_by_others(state, name, exclusive)
  if not in_full_quarantine(state) then return nil end
  local resource, id = split_name(name)
  local longest = redis.call('HGET', state.bucket .. 'bars', exclusive and resource or resource .. '\n')
  local deadline = 0
  for until_, other in string.gmatch(longest or '', '(%d+) ([^\n]*)') do
    if other ~= id then deadline = math.max(deadline, tonumber(until_)) end
  end
  deadline = math.min(deadline, state.full_until)
  return deadline > state.clock and deadline or nil
end

-- Until when no attempt of it starts because of what these data lack, nil for none.
local function start_waits(state, name, op)
  local own, others = barred_until(state, name), barred_by_others(state, name, op.exclusive)
  return own and others and math.max(own, others) or own or others
end

local function tell_of_operation(state, name)
  if state.watched then redis.call('PUBLISH', state.bucket .. 'changes', 'operation ' .. name) end
end

-- Tells the stream that speaks for the attempt, if it is one, to look.
local function tell_attempt(state, op, name, word)
  if is_of_stream(op.stamp) then tell(state, op.stamp, word, op.claim, '0', name) end
end

-- The moment at which something happens to it by itself. (To a stale one only the end of its time can.)
local function next_moment(state, op, is_stale)
  if not is_open(op) then return op.expires end
  local at = FAR
  if op.state == 'running' and not is_stale then return op.deadline end
  if op.state == 'running' then
    if op.expires > 0 then at = math.max(op.expires, op.deadline + state.room) end
    return at
  end
  if op.expires > 0 then at = op.expires end
  if op.claimable > state.clock then at = math.min(at, op.claimable) end
  return at
end

local function note_open(state, name, op)
  local open, resource = state.bucket .. 'open', split_name(name)
  local now_open = is_open(op)
  if now_open == op.was_open then return end
  op.was_open = now_open
  if op.exclusive and now_open then
    redis.call('HSET', open, resource, 'x')
  elseif op.exclusive or redis.call('HINCRBY', open, resource, now_open and 1 or -1) == 0 then
    redis.call('HDEL', open, resource)
  end
end

-- Writes the record and brings its indices up to date.
local function save_operation(state, name, op, is_stale)
  local at = next_moment(state, op, is_stale)
  if at ~= FAR then
    redis.call('ZADD', state.bucket .. 'operation-deadlines', int(at), name)
  elseif not op.is_new then
    redis.call('ZREM', state.bucket .. 'operation-deadlines', name)
  end
  local indexed = is_stale or (op.state == 'pending' and op.claimable <= state.clock)
  if indexed ~= op.indexed then
    op.indexed = indexed
    if indexed then
      redis.call('ZADD', state.bucket .. 'claimable:' .. op.type, op.seq, name)
      if state.watched then redis.call('PUBLISH', state.bucket .. 'changes', 'claimable ' .. op.type) end
    else
      redis.call('ZREM', state.bucket .. 'claimable:' .. op.type, name)
    end
  end
  note_open(state, name, op)
  write_operation(state, name, op)
end

-- A change that people see.
local function change_operation(state, name, op, is_stale)
  op.version, op.updated = op.version + 1, state.time
  save_operation(state, name, op, is_stale)
  tell_of_operation(state, name)
end

-- A change that people see while the attempt lives. The indices stay as they are, for they hold lower bounds.
local function amend_operation(state, name, op)
  op.version, op.updated = op.version + 1, state.time
  write_operation(state, name, op)
  tell_of_operation(state, name)
end

local function forget_claim_of(state, name, claim)
  local names = redis.call('HGET', state.bucket .. 'claims', claim)
  if not names then return end
  local left = {}
  for one in string.gmatch(names, '[^\n]+') do
    if one ~= name then left[#left + 1] = one end
  end
  if #left == 0 then
    redis.call('HDEL', state.bucket .. 'claims', claim)
  else
    redis.call('HSET', state.bucket .. 'claims', claim, table.concat(left, '\n'))
  end
end

-- Notes the claim in the record. The caller writes `claims`.
local function remember_claim(state, name, op, claim)
  local forgotten
  op.claims, forgotten = add_word(op.claims, claim, REMEMBERED_CLAIMS)
  put_along(op, 'k', op.requests .. '\t' .. op.claims)
  if forgotten then forget_claim_of(state, name, forgotten) end
end

local function remove_operation(state, name, op)
  for claim in string.gmatch(op.claims, '%S+') do forget_claim_of(state, name, claim) end
  redis.call('DEL', operation_key(state, name))
  redis.call('ZREM', state.bucket .. 'operations', name)
  redis.call('ZREM', state.bucket .. 'operation-deadlines', name)
  if op.indexed then redis.call('ZREM', state.bucket .. 'claimable:' .. op.type, name) end
  op.state = 'removed'
  note_open(state, name, op)
  tell_of_operation(state, name)
end

-- Brings it to a final state. Its retention counts from then.
local function finish_operation(state, name, op, final, outcome)
  if final == 'dead' then state.died = state.died and state.died .. '\t' .. op.type or op.type end
  op.state, op.finished, op.claimable, op.outcome = final, state.time, 0, outcome
  op.expires = state.clock + tonumber(op['keep_' .. final])
  put_along(op, 'outcome', outcome)
  change_operation(state, name, op)
end

-- When to look again at an attempt that an answer to the roll call may bring back.
local LOOK_AGAIN = 1000000

-- Does what is due: an operation goes when its retention is over, becomes dead when its time or its attempts are used
-- up, and claimable when it is stale or its delay is over. Returns the record, or nil when it is gone, whether it is
-- stale, and whether it isn't although its attempt does not live.
local function settle_operation(state, name, op)
  if not is_open(op) then
    if op.expires > state.clock then return op end
    remove_operation(state, name, op)
    return nil
  end
  if op.state == 'pending' then
    if op.expires > 0 and op.expires <= state.clock then
      finish_operation(state, name, op, 'dead', state.dead_by_time)
    elseif not op.indexed and op.claimable <= state.clock then
      save_operation(state, name, op)
    end
    return op
  end
  local before = op.deadline
  if living(state, op, name) then
    if op.deadline ~= before then save_operation(state, name, op) end
    return op
  end
  if keeps_others_out(state, op, name) then
    if op.deadline ~= before or op.indexed then save_operation(state, name, op) end
    return op, false, true
  end
  -- Nobody starts it now, and the answer that is missing may bring it back. One that went stale earlier did so where
  -- that was known.
  if not op.indexed and may_live_again(state, op, name) then
    redis.call('ZADD', state.bucket .. 'operation-deadlines', int(state.clock + LOOK_AGAIN), name)
    return op, false, true
  end
  if op.counted >= op.max then
    tell_attempt(state, op, name, 'attempt-look')
    finish_operation(state, name, op, 'dead', state.dead_by_attempts)
    return op
  end
  if op.expires > 0 and math.max(op.expires, op.deadline + state.room) <= state.clock then
    finish_operation(state, name, op, 'dead', state.dead_by_time)
    return op
  end
  save_operation(state, name, op, true)
  return op, true
end

-- Looks at what is due, `most` at a time. The index holds lower bounds: a heartbeat writes none.
local function sweep_operations(state, most)
  local due = redis.call('ZRANGE', state.bucket .. 'operation-deadlines', '-inf', int(state.clock), 'BYSCORE',
    'LIMIT', 0, most)
  for _, name in ipairs(due) do
    local op = read_operation(state, name)
    if op then
      local left = settle_operation(state, name, op)
      -- It lives longer than the index knew.
      if left and left.state == 'running' and left.deadline > state.clock then
        redis.call('ZADD', state.bucket .. 'operation-deadlines', 'XX', 'GT', int(left.deadline), name)
      end
    else
      redis.call('ZREM', state.bucket .. 'operation-deadlines', name)
    end
  end
  return #due
end

-- The types of the operations that became dead in this script, as replies tell them: with a tab between them, '' for
-- none. Each death is told in one reply, so that it can be counted.
local function deaths(state)
  return state.died or ''
end

-- What a claim gets, 'pending' or 'stale', and for how long it could have been had. (A pending one without a delay:
-- since its last change, for it has none while it is pending.)
local function found(state, op, is_stale)
  if is_stale then return 'stale', int(math.max(state.clock - op.deadline, 0)) end
  if op.claimable > 0 then return 'pending', int(math.max(state.clock - op.claimable, 0)) end
  return 'pending', int(math.max(state.now - tonumber(op.updated), 0))
end

-- Takes the lease of an attempt. Returns it, or nil and the lock where it can't be had.
local function take_lock(state, op, resource, claim, stamp, owner_json)
  local wanted = op.lock
  local lock, own = open_lock(state, resource, claim)
  drop_lapsed(state, lock)
  if own and blocks(state, own) or has_queue(lock) or state.clock < lock.taken_until
    or not admits(lock, wanted.mode) then
    if lock.changed then settle(state, lock) end -- what has lapsed is seen
    return nil, lock
  end
  local lease = {
    token = next_token(state), deadline = 0, ttl = wanted.ttl, ceiling = 0,
    acquired = state.time, stamp = stamp, mode = wanted.mode, state = 'held', epoch = state.epoch,
  }
  hold(state, lease, wanted.ttl, wanted.max_hold)
  local owner = wanted.owner ~= '""' and wanted.owner or owner_json
  add_holder(lock, claim, lease, '[' .. owner .. ',' .. wanted.metadata .. ']')
  add_min_hold(state, lock, lease, wanted.min_hold)
  save_lock(state, lock)
  return lease, lock
end

-- Makes a pending or stale operation run. Returns false and the lock if it can't have that; then nothing has changed.
-- `is_claimed`: a claim asks, and its repeat has to find the operation.
local function start_attempt(state, name, op, claim, stamp, owner, owner_json, is_claimed)
  local resource = split_name(name)
  local token, deadline
  if op.lock then
    local lease, lock = take_lock(state, op, resource, claim, stamp, owner_json)
    if not lease then return false, lock end
    token, deadline = lease.token, lease.deadline
  else
    token, deadline = next_token(state), deadline_after(state, op.heartbeat)
  end
  tell_attempt(state, op, name, 'attempt-look') -- the stale one's stream
  op.state, op.claim, op.stamp, op.token, op.deadline = 'running', claim, stamp, token, deadline
  op.number, op.counted, op.owner, op.started, op.claimable = op.number + 1, op.counted + 1, owner, state.time, 0
  if is_claimed then remember_claim(state, name, op, claim) end
  change_operation(state, name, op)
  return true
end

-- Moves the deadline of a living attempt on, and that of its lease. Says whether that is at the end of its max_hold.
local function extend_attempt(state, op, resource)
  if not op.lock then
    op.deadline = math.max(op.deadline, deadline_after(state, op.heartbeat))
    return false
  end
  local lease = lease_of(state, op, resource)
  extend(state, lease, lease.ttl)
  lease.stamp = op.stamp
  redis.call('HSET', state.bucket .. 'lock:' .. resource, op.claim, lease_text(lease))
  op.deadline = lease.deadline
  return is_final(lease)
end

-- Whether a living attempt's lease is at the end of its max_hold.
local function is_attempt_final(state, op, resource)
  return op.lock and is_final(lease_of(state, op, resource))
end

-- A heartbeat writes no index.
local function note_heartbeat(state, name, op)
  write_operation(state, name, op)
end

-- Why an attempt may not write, as the reply says it, or nil.
local function refusal_of(state, name, op, claim, token)
  local is_its = op.claim == claim and op.token == token
  if op.state ~= 'running' then
    return { is_its and not is_open(op) and 'wrong-state' or 'stale-attempt', state.time }
  end
  if is_its and living(state, op, name) then return nil end
  if is_its and may_live_again(state, op, name) then return quarantined(state, state.quarantine_until) end
  return { 'stale-attempt', state.time }
end

local function release_attempt(state, op, resource)
  if not op.lock then return end
  local lock, lease = open_lock(state, resource, op.claim)
  if not lease or lease.token ~= op.token then return end
  remove_holder(state, lock, op.claim, lease)
  settle(state, lock)
end

local function is_one_of(word, list)
  return word == list or string.find(',' .. list .. ',', ',' .. word .. ',', 1, true) ~= nil
end

-- Whether an open operation of its resource stands in the way of another one.
local function is_open_elsewhere(state, name, exclusive)
  local open = redis.call('HGET', state.bucket .. 'open', (split_name(name)))
  return open == 'x' or (exclusive and open ~= false) or barred_by_others(state, name, exclusive) ~= nil
end
