-- Prelude: put before the body of every script that names it (scripts.ts does), so that the reign check, the
-- lease clock and the form of a lease stand in one place. All numbers are whole microseconds below 2^53
-- unless a name says otherwise.

-- Redis's own time. The random-sequence tests replace this one line to bring their own clock.
local function time_us() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

-- Lua 5.1's tostring keeps 14 digits; these numbers have 16.
local function int(n) return string.format('%.0f', n) end

-- Every script enters here. Refuses what comes too late or under another reign, and advances the lease clock:
--
-- * late: a primary that was frozen runs what its socket buffers hold when it is thawed, long after the
--   caller was told that the outcome is unknown, and perhaps after someone else was granted the lock
--   elsewhere.
-- * reign: a promoted replica may not know the last grants; before its reign is adopted (and its quarantine
--   begun) a script here could grant what the old primary granted a moment ago.
-- * the clock advances by what Redis's TIME moved since the last script, but never back and by at most
--   `skew`: a step of the system clock then ends no lease early.
--
-- Returns the state, or nil and the refusal to reply.
local function enter(meta, reign, not_after, skew)
  local now = time_us()
  if now > tonumber(not_after) then return nil, { 'late', int(now) } end
  local m = redis.call('HMGET', meta, 'reign', 'clock', 'last', 'token', 'quarantine_until', 'lapsed_before')
  if m[1] ~= reign then return nil, { 'reign', int(now) } end
  local clock = tonumber(m[2]) + math.min(math.max(now - tonumber(m[3]), 0), tonumber(skew))
  return {
    now = now,
    clock = clock,
    token = tonumber(m[4]),
    quarantine_until = tonumber(m[5]),
    lapsed_before = tonumber(m[6]),
  }
end

-- Writes the advanced clock. Every mutating script does so whatever its outcome, first of all writes: on a
-- node that was demoted meanwhile this fails with READONLY, so that no such node answers anything.
local function advance(meta, s)
  redis.call('HSET', meta, 'clock', int(s.clock), 'last', int(s.now))
end

-- A lease is a field of the lock's hash, named by its lease_id: "token deadline ttl ceiling acquired
-- instance/call mode". `deadline` is on the lease clock and carries the skew allowance; `ceiling` is what
-- renewals never pass (0: none); `acquired` is Redis's TIME at the grant, for people.
local LEASE = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+)$'

local function read_lease(text)
  local token, deadline, ttl, ceiling, acquired, stamp, mode = string.match(text, LEASE)
  return {
    token = token,
    deadline = tonumber(deadline),
    ttl = tonumber(ttl),
    ceiling = tonumber(ceiling),
    acquired = acquired,
    stamp = stamp,
    mode = mode,
  }
end

local function write_lease(lock, lease_id, l)
  redis.call('HSET', lock, lease_id,
    l.token .. ' ' .. int(l.deadline) .. ' ' .. int(l.ttl) .. ' ' .. int(l.ceiling) .. ' ' ..
    l.acquired .. ' ' .. l.stamp .. ' ' .. l.mode)
end

-- A lease lives until its deadline. One that was inherited at an adoption and whose deadline lies before
-- `lapsed_before` does not: the former primary may have seen it lapse by its own clock, and given the
-- resource away.
local function alive(s, l)
  return l.deadline > s.clock and l.deadline >= s.lapsed_before
end

-- Moves the deadline to now + ttl, never past the ceiling, and never back: a repeat with a smaller TTL must
-- not shorten what the holder was promised.
local function extend(s, l, ttl, skew)
  local deadline = s.clock + ttl + skew
  if l.ceiling > 0 then deadline = math.min(deadline, l.ceiling) end
  l.deadline = math.max(l.deadline, deadline)
end

-- The holders among the fields of a lock's hash (HGETALL), and the lock's own field ':taken_until' (a
-- min_hold).
local function read_lock(lock)
  local flat, leases, about, taken_until = redis.call('HGETALL', lock), {}, {}, 0
  for i = 1, #flat, 2 do
    local name = flat[i]
    if name == ':taken_until' then
      taken_until = tonumber(flat[i + 1])
    elseif string.byte(name, -1) == 63 then -- '<lease_id>?': what people are told about the lease
      about[string.sub(name, 1, -2)] = flat[i + 1]
    else
      leases[name] = read_lease(flat[i + 1])
    end
  end
  return leases, about, taken_until
end

local function remove_lease(lock, lease_id)
  redis.call('HDEL', lock, lease_id, lease_id .. '?')
end
