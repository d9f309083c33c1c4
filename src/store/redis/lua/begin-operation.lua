#!lua
-- Records an operation, or finds it; starts an attempt for the caller if it wants one. All or nothing: what can't be
-- had together is not recorded.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 room            how long a stale attempt's operation is left for recovery
--       5 dead_by_attempts, 6 dead_by_time    the outcomes of the dead
--       7 name            "resource TAB operation_id"
--       8 spec            what is to be recorded of it for ever: 's' of operation-records.lua
--       9 data            '' for none
--      10 labels          JSON object
--      11 owner
--      12 owner_json      the same as JSON
--      13 claim           '' or the claim_id
--      14 stamp           "instance/call"
--      15 required        '' or "lease_id token resource" of a lease that must be held for anything to begin
--      16 claim_from      the states from which an attempt starts
-- REPLY begun now created left operation...    (as in operation-views.lua; left: '' without an attempt)
--       exists now | open now | lease-required now
--       attempt-held now time_left
--       held | ahead | min-hold now time_left queue_length {about lease_id token acquired remaining mode}...
--       quarantined now time_left
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local room, dead_by_attempts, dead_by_time, name = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local spec, data, labels, owner, owner_json, claim = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local stamp, required, claim_from = ARGV[14], ARGV[15], ARGV[16]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)
s.room, s.dead_by_attempts, s.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

local asked = new_record(spec)
-- The record of the first Begin may be one that this primary has never heard of, and its attempt may be running.
if s.clock < s.quarantine_until and (claim ~= '' or asked.exclusive or asked.lock) then
  return { 'quarantined', s.time, int(s.quarantine_until - s.clock) }
end

local function begun(o, created, has_attempt)
  local reply = { 'begun', s.time, created and '1' or '0', has_attempt and attempt_left(s, o) or '' }
  add_operation(s, reply, name, o, true)
  return reply
end

-- Why the lock of an attempt can't be had, as acquire-lock says it.
local function contended(L, mode)
  if L.changed then settle(s, L) end
  local free_at = math.max(s.quarantine_until, L.taken_until, L.count > 0 and L.next or 0)
  local word = 'held'
  if admits(L, mode) then word = s.clock < L.taken_until and 'min-hold' or 'ahead' end
  local reply = { word, s.time, int(math.max(free_at - s.clock, 0)), int(redis.call('ZCARD', L.queue)) }
  local earliest = add_holders(s, L, reply, 4)
  if earliest then reply[3] = int(math.max(earliest, L.taken_until, s.quarantine_until) - s.clock) end
  return reply
end

-- Whether a lease is required and not held.
local function lacks_lease()
  if required == '' then return false end
  local lease_id, token, on = string.match(required, '^(%S+) (%d+) (.*)$')
  local text = redis.call('HGET', s.bucket .. 'lock:' .. on, lease_id)
  local l = text and read_lease(text)
  return not l or l.token ~= token or l.state ~= 'held' or not alive(s, l)
end

local resource = split_name(name)
local o = read_operation(s, name, true)
local is_stale = false
if o then o, is_stale = settle_operation(s, name, o) end

if o then
  if o.hash ~= asked.hash then return { 'exists', s.time } end
  local created = asked.begun_by ~= '' and o.begun_by == asked.begun_by
  if claim == '' or not is_open(o) then return begun(o, created, false) end
  if o.state == 'running' and not is_stale then
    -- Until it is stale: later than its worker counts on it.
    if o.claim ~= claim then return { 'attempt-held', s.time, int(o.deadline - s.clock) } end
    if o.stamp ~= stamp then tell_attempt(s, o, name, 'attempt-moved') end
    o.stamp = stamp
    extend_attempt(s, o, resource)
    note_heartbeat(s, name, o)
    return begun(o, created, true)
  end
  if not is_one_of(o.state, claim_from) then return begun(o, created, false) end
  if lacks_lease() then return { 'lease-required', s.time } end
  local started, L = start_attempt(s, name, o, claim, stamp, owner, owner_json)
  if not started then return contended(L, o.lock.mode) end
  return begun(o, created, true)
end

if is_open_elsewhere(s, resource, asked.exclusive) then return { 'open', s.time } end
if lacks_lease() then return { 'lease-required', s.time } end

o = asked
o.state, o.created, o.updated, o.owner, o.labels, o.data = 'pending', s.time, s.time, owner, labels, data
o.expires = o.ttl > 0 and s.clock + o.ttl or 0
if claim ~= '' then
  if o.lock then
    local l, L = take_lock(s, o, resource, claim, stamp, owner_json)
    if not l then return contended(L, o.lock.mode) end
    o.token, o.deadline = l.token, l.deadline
  else
    o.token, o.deadline = next_token(s), deadline_after(s, o.heartbeat)
  end
  o.state, o.claim, o.stamp, o.number, o.counted, o.started = 'running', claim, stamp, 1, 1, s.time
end
-- Nothing is written before the lock is had.
o.seq = int(redis.call('HINCRBY', meta, 'operation', 1))
redis.call('ZADD', s.bucket .. 'operations', 0, name)
put_along(o, 's', spec)
if data ~= '' then put_along(o, 'data', data) end
change_operation(s, name, o)
return begun(o, true, claim ~= '')
