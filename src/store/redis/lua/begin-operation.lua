#!lua
-- Records an operation, or finds it, and starts an attempt if the caller wants one. All or nothing: it records no
-- operation whose attempt can't start.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 room            how long a stale attempt's operation is left for recovery
--       5 dead_by_attempts, 6 dead_by_time    the outcomes of the dead
--       7 name            "resource TAB operation_id"
--       8 spec            what its record keeps for ever: 's' of operation-records.lua
--       9 data            '' for none
--      10 labels          JSON object
--      11 owner
--      12 owner_json      the same as JSON
--      13 claim           '' or the claim_id
--      14 stamp           "instance/call"
--      15 required        '' or "lease_id token resource" of a lease that must be held for anything to begin
--      16 claim_from      the states from which an attempt starts
-- REPLY begun now died created found waited left operation...
--         (as in operation-views.lua) died: the types of operations that became dead, a tab between them; found: what
--         this call found, new | pending | stale (both: and took) | known; waited: for how long what it took could have
--         been taken; left: '' without an attempt, "left clock lease" with a lease
--       exists now died | open now | lease-required now
--       attempt-held now time_left
--       held | ahead | min-hold now time_left queue_length {about lease_id token acquired remaining mode}...
--       quarantined now time_left
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local room, dead_by_attempts, dead_by_time, name = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local spec, data, labels, owner, owner_json, claim = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local stamp, required, claim_from = ARGV[14], ARGV[15], ARGV[16]

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)
state.room, state.dead_by_attempts, state.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

local asked = new_record(spec)
-- There may be a record that this primary has never heard of, that of a first Begin, and its attempt may be running.
if in_quarantine(state) and (claim ~= '' or asked.exclusive or asked.lock) then
  return quarantined(state, state.quarantine_until)
end

local function begun(op, created, has_attempt, found_as, waited)
  local left = has_attempt and attempt_told(state, op, (split_name(name))) or ''
  local reply = { 'begun', state.time, deaths(state), created and '1' or '0', found_as or 'known', waited or '0', left }
  add_operation(state, reply, name, op, true)
  return reply
end

-- Whether a lease is required and not held.
local function lacks_lease()
  if required == '' then return false end
  local lease_id, token, on = string.match(required, '^(%S+) (%d+) (.*)$')
  local lease = find_lease(state.bucket .. 'lock:' .. on, lease_id)
  return not lease or lease.token ~= token or lease.state ~= 'held' or not renewable(state, lease)
end

local resource = split_name(name)
local op = read_operation(state, name, true)
local is_stale, is_kept = false, false
if op then op, is_stale, is_kept = settle_operation(state, name, op) end

if op then
  if op.hash ~= asked.hash then return { 'exists', state.time, deaths(state) } end
  local created = asked.begun_by ~= '' and op.begun_by == asked.begun_by
  if claim == '' or not is_open(op) then return begun(op, created, false) end
  if is_kept then return quarantined(state, math.min(op.deadline, state.full_until)) end
  if op.state == 'running' and not is_stale then
    -- How long until it is stale, which is later than its worker counts on it.
    if op.claim ~= claim then return { 'attempt-held', state.time, int(op.deadline - state.clock) } end
    if is_unproved_attempt(state, op) then return quarantined(state, state.full_until) end
    if op.stamp ~= stamp then tell_attempt(state, op, name, 'attempt-moved') end
    op.stamp = stamp
    extend_attempt(state, op, resource)
    note_heartbeat(state, name, op)
    return begun(op, created, true)
  end
  if not is_one_of(op.state, claim_from) then return begun(op, created, false) end
  local waits = start_waits(state, name, op)
  if waits then return quarantined(state, waits) end
  if lacks_lease() then return { 'lease-required', state.time } end
  local found_as, waited = found(state, op, is_stale)
  local started, lock = start_attempt(state, name, op, claim, stamp, owner, owner_json)
  if not started then return contended(state, lock, op.lock.mode) end
  return begun(op, created, true, found_as, waited)
end

local barred = claim ~= '' and barred_until(state, name)
if barred then return quarantined(state, barred) end
if is_open_elsewhere(state, name, asked.exclusive) then return { 'open', state.time } end
if lacks_lease() then return { 'lease-required', state.time } end

op = asked
op.state, op.created, op.updated, op.owner, op.labels, op.data = 'pending', state.time, state.time, owner, labels, data
op.expires = op.ttl > 0 and state.clock + op.ttl or 0
if claim ~= '' then
  if op.lock then
    local lease, lock = take_lock(state, op, resource, claim, stamp, owner_json)
    if not lease then return contended(state, lock, op.lock.mode) end
    op.token, op.deadline = lease.token, lease.deadline
  else
    op.token, op.deadline = next_token(state), deadline_after(state, op.heartbeat)
  end
  op.state, op.claim, op.stamp, op.number, op.counted, op.started = 'running', claim, stamp, 1, 1, state.time
end
-- Nothing is written before the lease is taken.
op.seq = int(redis.call('HINCRBY', meta, 'operation', 1))
redis.call('ZADD', state.bucket .. 'operations', 0, name)
put_along(op, 's', spec)
if data ~= '' then put_along(op, 'data', data) end
change_operation(state, name, op)
return begun(op, true, claim ~= '', 'new')
