-- Prelude: stands before the body of every script (scripts.ts puts it there), so that the reign check, the lease clock
-- and the form of a lease are in one place. Before it come the numbers that the script uses of script-constants.ts,
-- such as OFFER_WINDOW. All numbers are whole microseconds below 2^53 unless a name says otherwise. A script declares
-- one key, the bucket's meta hash. It derives all others from that one; they lie under the same hash tag.

-- Redis's own time. The random-sequence tests replace this one line to bring their own clock.
local function time_us() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

-- Lua 5.1's tostring keeps 14 digits. These numbers have 16.
local function int(n) return string.format('%.0f', n) end

-- Every script enters here. Refuses a command that comes too late or under another reign, and advances the lease clock:
--
-- * Late: a frozen primary that goes on runs what its socket buffers hold. By then the caller has long been told that
--   the outcome is unknown, and another primary may have granted the lock to someone else.
-- * Reign: a promoted replica may not know the last grants. Until an instance adopts its reign, and so begins a
--   quarantine, a script here could grant what the old primary granted a moment ago.
-- * The clock moves on by as much as Redis's TIME has since the last script, but never back, and by at most `skew`. So
--   a step of the system clock ends no lease early.
--
-- Returns the state, or nil and the refusal to reply.
local function enter(meta, reign, not_after, skew)
  local now = time_us()
  if now > tonumber(not_after) then return nil, { 'late', int(now) } end
  local recorded = redis.call('HMGET', meta, 'reign', 'clock', 'last', 'token', 'quarantine_until', 'lapsed_before',
    'watched_until', 'max_ttl')
  if recorded[1] ~= reign then return nil, { 'reign', int(now) } end
  skew = tonumber(skew)
  local clock = tonumber(recorded[2]) + math.min(math.max(now - tonumber(recorded[3]), 0), skew)
  return {
    meta = meta,
    bucket = string.sub(meta, 1, -5), -- all keys of the bucket are this and a name
    skew = skew,
    now = now,
    time = int(now), -- the same as text
    clock = clock,
    token = tonumber(recorded[4]),
    quarantine_until = tonumber(recorded[5]),
    lapsed_before = tonumber(recorded[6]),
    max_ttl = tonumber(recorded[8]),
    watched = recorded[7] and tonumber(recorded[7]) > clock, -- somebody wants to hear of changes
  }
end

-- Writes the advanced clock. Every mutating script does so before all other writes, whatever its outcome: on a node
-- that was demoted in the meantime this fails with READONLY, so no such node answers anything.
local function advance(state)
  redis.call('HSET', state.meta, 'clock', int(state.clock), 'last', state.time)
end

-- Whether somebody may still hold a lease that this primary has never heard of. As long as that is so, nothing is
-- granted.
local function in_quarantine(state)
  return state.clock < state.quarantine_until
end

-- The reply of a script that starts nothing in a quarantine.
local function quarantined(state)
  return { 'quarantined', state.time, int(state.quarantine_until - state.clock) }
end

-- Larger than every earlier token: the counter sees to that when the clock has stepped back, the time when writes were
-- lost.
local function next_token(state)
  state.token = math.max(state.token + 1, state.now)
  redis.call('HSET', state.meta, 'token', int(state.token))
  return int(state.token)
end

-- A lease is a field of the lock's hash, named by its lease_id:
--   "token deadline ttl ceiling acquired instance/call mode state"
-- `deadline` is on the lease clock and carries the skew allowance. Renewals never pass `ceiling` (0: none). `acquired`
-- is Redis's TIME at the grant, for people; '=' says that it is the token, as it nearly always is. `state` is one of
--   'held'
--   'offer'    a hand-over that its instance has not confirmed yet: nobody was told of it, it ends after the offer
--              window, and its deadline carries no skew
--   'revoked'  by an administrator: it takes the resource until its deadline, and nothing renews it
local LEASE = '^(%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%S+) (%S+)$'

local function read_lease(text)
  local token, deadline, ttl, ceiling, acquired, stamp, mode, state = string.match(text, LEASE)
  return {
    token = token,
    deadline = tonumber(deadline),
    ttl = tonumber(ttl),
    ceiling = tonumber(ceiling),
    acquired = acquired == '=' and token or acquired,
    stamp = stamp,
    mode = mode,
    state = state,
  }
end

local function lease_text(lease)
  local acquired = lease.acquired == lease.token and '=' or lease.acquired
  return lease.token .. ' ' .. int(lease.deadline) .. ' ' .. int(lease.ttl) .. ' ' .. int(lease.ceiling) .. ' ' ..
    acquired .. ' ' .. lease.stamp .. ' ' .. lease.mode .. ' ' .. lease.state
end

-- A lease lives until its deadline. But one with a deadline before `lapsed_before` was inherited at an adoption, and is
-- over: the former primary may have seen it lapse by its own clock, and given the resource away.
local function alive(state, lease)
  return lease.deadline > state.clock and lease.deadline >= state.lapsed_before
end

-- The deadline of what gets `ttl` now, at most the deployment's largest TTL. An operation may be older than a change of
-- that; a grant that lives longer, and that a failover forgets, would outlive the quarantine that has to cover it.
local function deadline_after(state, ttl)
  return state.clock + math.min(ttl, state.max_ttl) + state.skew
end

-- Moves the deadline to now + ttl, but never past the ceiling and never back: a repeat with a smaller TTL must not
-- shorten what the holder was promised.
local function extend(state, lease, ttl)
  local deadline = deadline_after(state, ttl)
  if lease.ceiling > 0 then deadline = math.min(deadline, lease.ceiling) end
  lease.deadline = math.max(lease.deadline, deadline)
end

-- Whether it has reached the end of its max_hold.
local function is_final(lease)
  return lease.ceiling > 0 and lease.deadline >= lease.ceiling
end

-- The lease of this id in a lock's hash, nil for none.
local function find_lease(key, lease_id)
  local text = redis.call('HGET', key, lease_id)
  return text and read_lease(text) or nil
end

-- How long ago the grant was, by Redis's TIME: for people and metrics.
local function since_grant(state, lease)
  return math.max(state.now - tonumber(lease.acquired), 0)
end

-- How long the holder can count on the lease: the recorded deadline without its skew allowance.
local function remaining(state, lease)
  return int(lease.deadline - state.skew - state.clock)
end

-- Makes a grant a lease that its caller is told of. Its bounds begin now.
local function hold(state, lease, ttl, max_hold)
  lease.state = 'held'
  lease.ttl = ttl
  if max_hold > 0 then lease.ceiling = state.clock + max_hold + state.skew end
  extend(state, lease, ttl)
end

-- The instance in a stamp "instance/call".
local function instance_of(stamp)
  return string.match(stamp, '^[^/]+')
end

-- Whether the stamp is a stream's: streams have odd numbers (and odd digits have odd codes).
local function is_of_stream(stamp)
  return stamp ~= '' and string.byte(stamp, -1) % 2 == 1
end

-- Whether the holder of a live lease has been told of its end: by an administrator, or by the stream that keeps it,
-- which tells it at the deadline without the skew. For metrics: that end has been counted.
local function is_over(state, lease)
  local is_kept = lease.state == 'held' and is_of_stream(lease.stamp)
  return lease.state == 'revoked' or (is_kept and state.clock >= lease.deadline - state.skew)
end

-- Tells the call's instance, on its channel, what became of what the call speaks for.
local function tell(state, stamp, word, lease_id, number, resource)
  local instance, call = string.match(stamp, '^([^/]+)/(%d+)$')
  redis.call('PUBLISH', state.bucket .. 'instance:' .. instance,
    word .. ' ' .. lease_id .. ' ' .. call .. ' ' .. number .. ' ' .. resource)
end
