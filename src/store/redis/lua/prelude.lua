-- Prelude: stands before the body of every script (scripts.ts puts it there), so that the reign check, the lease clock
-- and the form of a lease are in one place. Before it come the numbers that the script uses of script-constants.ts,
-- such as OFFER_WINDOW. All numbers are whole microseconds below 2^53 unless a name says otherwise. A script declares
-- one key, the bucket's meta hash. It derives all others from that one; they lie under the same hash tag.

-- Redis's own time. The random-sequence tests replace this one line to bring their own clock.
local function time_us() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

-- Lua 5.1's tostring keeps 14 digits. These numbers have 16. The same ones come again and again, such as a deadline in
-- the lease, the summary and the index, and to format one costs as much as a look into a key.
local int_texts = { [0] = '0', [1] = '1' }
local function int(n)
  local text = int_texts[n]
  if not text then
    text = string.format('%.0f', n)
    int_texts[n] = text
  end
  return text
end

local function is_late(now, not_after) return now > tonumber(not_after) end

-- Every script enters here. Refuses a command that comes too late, under another reign, or from an instance that is not
-- in the registry, and advances the lease clock:
--
-- * Late: a frozen primary that goes on runs what its socket buffers hold. By then the caller has long been told that
--   the outcome is unknown, and another primary may have granted the lock to someone else.
-- * Reign: a promoted replica may not know the last grants. Until an instance adopts its reign, and so begins a
--   quarantine, a script here could grant what the old primary granted a moment ago.
-- * Unregistered: instance X is frozen until its entry is dropped, thaws, and renews a lease. The primary dies before
--   its replica has that. The roll call of the promoted replica waits for nobody named X, ends early, and grants the
--   resource to someone else. So what X tells rests on an entry that lies before it in the data.
-- * The clock moves on by as much as Redis's TIME has since the last script, but never back, and by at most SKEW. So a
--   step of the system clock ends no lease early.
-- * A TIME that lies behind `last` first gives back what was too much: the TIME of A steps to the upper edge of what is
--   allowed and back, then B rules, whose TIME is at that edge. Without this the lease clock would run ahead twice, by
--   more than a deadline carries.
--
-- Returns the state, or nil and the refusal to reply. `caller`: its entry is read; '-' for none.
local function enter(meta, reign, not_after, caller)
  local now = time_us()
  if is_late(now, not_after) then return nil, { 'late', int(now) } end
  local recorded = redis.call('HMGET', meta, 'reign', 'clock', 'last', 'token', 'quarantine_until', 'full_until',
    'watched_until', 'max_ttl', 'epoch')
  if recorded[1] ~= reign then return nil, { 'reign', int(now) } end
  local bucket = string.sub(meta, 1, -5) -- all keys of the bucket are this and a name
  local entry = caller ~= '-' and redis.call('HGET', bucket .. 'instances', caller)
  if caller ~= '-' and not entry then return nil, { 'unregistered', int(now) } end
  local last = tonumber(recorded[3])
  local clock = tonumber(recorded[2]) + math.min(math.max(now - last, 0), SKEW)
  return {
    meta = meta,
    bucket = bucket,
    now = now,
    time = int(now), -- the same as text
    last = math.max(now, math.min(last, now + SKEW)),
    clock = clock,
    token = tonumber(recorded[4]),
    quarantine_until = tonumber(recorded[5]),
    full_until = tonumber(recorded[6]),
    max_ttl = tonumber(recorded[8]),
    epoch = recorded[9],
    entry = entry,
    watched = recorded[7] and tonumber(recorded[7]) > clock, -- somebody wants to hear of changes
  }
end

-- Writes the advanced clock. Every mutating script does so before all other writes, whatever its outcome: on a node
-- that was demoted in the meantime this fails with READONLY, so no such node answers anything.
local function advance(state)
  redis.call('HSET', state.meta, 'clock', int(state.clock), 'last', int(state.last))
end

-- Whether somebody may still hold a lease that this primary has never heard of. As long as that is so, nothing is
-- granted.
local function in_quarantine(state)
  return state.clock < state.quarantine_until
end

-- Whether the quarantine would last without a roll call, which ends it early. What no roll call brings to light waits
-- for this: whether an inherited lease or attempt was ever told of.
local function in_full_quarantine(state)
  return state.clock < state.full_until
end

-- Whether a lease that does not live here may live all the same: somebody may put it back. X told of a grant that these
-- data lack, and has not answered the roll call yet; its holder's stream has moved to Y, which has. If Y said that the
-- lease is lost, its holder would stop the work, and X would put it back a moment later. One that is here and not
-- renewable is no different: X may have told of a later deadline.
local function may_be_put_back(state)
  return state.entry and in_quarantine(state)
end

-- The reply of a script that starts no attempt before that moment.
local function quarantined(state, until_)
  return { 'quarantined', state.time, int(until_ - state.clock) }
end

-- Larger than every earlier token: the counter sees to that when the clock has stepped back, the time when writes were
-- lost. (A batch writes it once, behind its commands, which see it here.)
local function next_token(state)
  state.token = math.max(state.token + 1, state.now)
  local text = int(state.token)
  if state.is_batch then state.has_granted = true else redis.call('HSET', state.meta, 'token', text) end
  return text
end

-- A lease is a field of the lock's hash, named by its lease_id:
--   "token deadline ttl ceiling acquired instance/call mode state epoch"
-- `deadline` is on the lease clock and carries the skew allowance. Renewals never pass `ceiling` (0: none). `acquired`
-- is Redis's TIME at the grant, for people; '=' says that it is the token, as it nearly always is. `state` is one of
--   'held'
--   'offer'    a hand-over that its instance has not confirmed yet: nobody was told of it, it ends after the offer
--              window, and its deadline carries no skew
--   'revoked'  by an administrator: it takes the resource until its deadline, and nothing renews it
-- `epoch` is that of the reign that granted or last renewed it; 'r1.2' if a roll call put it back, with the config epoch
-- and the lease clock of what its holder was told; OVERTAKEN if a roll call put back a later lease that it doesn't go
-- with; '' in the former layout.
local OVERTAKEN = 'o'
local LEASE = '^(%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%S+) (%S+) ?(%S*)$'

local function read_lease(text)
  local token, deadline, ttl, ceiling, acquired, stamp, mode, state, epoch = string.match(text, LEASE)
  return {
    token = token,
    deadline = tonumber(deadline),
    ttl = tonumber(ttl),
    ceiling = tonumber(ceiling),
    acquired = acquired == '=' and token or acquired,
    stamp = stamp,
    mode = mode,
    state = state,
    epoch = epoch,
  }
end

local function lease_text(lease)
  local acquired = lease.acquired == lease.token and '=' or lease.acquired
  return lease.token .. ' ' .. int(lease.deadline) .. ' ' .. int(lease.ttl) .. ' ' .. int(lease.ceiling) .. ' ' ..
    acquired .. ' ' .. lease.stamp .. ' ' .. lease.mode .. ' ' .. lease.state .. ' ' .. lease.epoch
end

-- Whether a former reign granted it and this one has not renewed it yet.
local function is_inherited(state, lease)
  return lease.epoch ~= state.epoch
end

-- Whether it takes its resource: until its deadline, even where nothing renews it any more.
local function blocks(state, lease)
  return lease.deadline > state.clock
end

-- An inherited lease or attempt with a deadline before this moment is over for its holder. Read where one is met: most
-- commands meet none. What the reign just before had granted or renewed (`is_of_former`) was not barred there.
local function inherited_bar(state, is_of_former)
  if not state.lapsed_before then
    local recorded = redis.call('HMGET', state.meta, 'lapsed_before', 'lapsed_older')
    state.lapsed_before, state.lapsed_older = tonumber(recorded[1]), tonumber(recorded[2])
  end
  return is_of_former and state.lapsed_before or math.max(state.lapsed_before, state.lapsed_older)
end

-- Whether it can be renewed: until its deadline. But an inherited one with a deadline before `lapsed_before` is over
-- for its holder: the former primary may have seen it lapse by its own clock, and given the resource away. It frees
-- nothing here all the same: by the clock of another node the holder may still count on it.
local function renewable(state, lease)
  if not blocks(state, lease) or not is_inherited(state, lease) then return blocks(state, lease) end
  if lease.epoch == OVERTAKEN then return false end
  return lease.deadline >= inherited_bar(state, tonumber(lease.epoch) == tonumber(state.epoch) - 1)
end

-- Whether its acquisition can be told of it, once more or for the first time. Not in a quarantine, and an inherited one
-- not before the full end: the last grant of A was told to nobody, B ruled and granted the resource to someone else,
-- and A was chosen again. A roll call puts back what B granted, but nothing shows that the grant of A was never told.
-- (A lease that was renewed in this reign was told.)
local function may_tell(state, lease)
  local is_unproved = is_inherited(state, lease) and in_full_quarantine(state)
  return renewable(state, lease) and lease.state ~= 'revoked' and not in_quarantine(state) and not is_unproved
end

-- The deadline of what gets `ttl` now, at most the deployment's largest TTL. An operation may be older than a change of
-- that; a grant that lives longer, and that a failover forgets, would outlive the quarantine that has to cover it.
local function deadline_after(state, ttl)
  return state.clock + math.min(ttl, state.max_ttl) + SKEW
end

-- Moves the deadline to now + ttl, but never past the ceiling and never back: a repeat with a smaller TTL must not
-- shorten what the holder was promised.
local function extend(state, lease, ttl)
  local deadline = deadline_after(state, ttl)
  if lease.ceiling > 0 then deadline = math.min(deadline, lease.ceiling) end
  lease.deadline = math.max(lease.deadline, deadline)
  lease.epoch = state.epoch
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
local function since_grant(state, acquired)
  return math.max(state.now - tonumber(acquired), 0)
end

-- How long the holder can count on a lease: its recorded deadline without the skew allowance.
local function remaining(state, deadline)
  return int(deadline - SKEW - state.clock)
end

-- Makes a grant a lease that its caller is told of. Its bounds begin now.
local function hold(state, lease, ttl, max_hold)
  lease.state = 'held'
  lease.ttl = ttl
  if max_hold > 0 then lease.ceiling = state.clock + max_hold + SKEW end
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

-- Whether the holder of a lease that blocks has been told of its end: by an administrator, or by the stream that keeps
-- it, which tells it at the deadline without the skew, or when nothing renews it any more. For metrics: that end has
-- been counted.
local function is_over(state, lease)
  local is_kept = lease.state == 'held' and is_of_stream(lease.stamp)
  return lease.state == 'revoked' or (is_kept and (state.clock >= lease.deadline - SKEW or not renewable(state, lease)))
end

-- Tells the call's instance, on its channel, what became of what the call speaks for.
local function tell(state, stamp, word, lease_id, number, resource)
  local instance, call = string.match(stamp, '^([^/]+)/(%d+)$')
  redis.call('PUBLISH', state.bucket .. 'instance:' .. instance,
    word .. ' ' .. lease_id .. ' ' .. call .. ' ' .. number .. ' ' .. resource)
end

-- The registry `instances` is a hash: the entry of each instance by its id,
--   "seen mono wall epoch name mark"
-- `seen` is the lease clock of its last tick. `mono` and `wall` are its own clocks in milliseconds, when it asked the
-- oldest question of the newest majority that named this primary under this epoch, '-' before the first; nobody but
-- the instance understands them. PLACED: the entry was made for it, and it has not registered. `epoch` is that of the
-- last reign whose roll call it answered: it owes an answer while that is another one. `name` is that of its host, for
-- people. `mark` is another one with each tick, so that a process notices when somebody else ticks under its id;
-- CONTESTED once one has; '' if a test has written none, or before it has registered.
local PLACED = 'g'
local CONTESTED = '!'

local function read_entry(text)
  local seen, mono, wall, epoch, name, mark = string.match(text, '^(%d+) (%S+) (%S+) (%d+) (%S+) ?(%S*)$')
  return { seen = tonumber(seen), mono = mono, wall = wall, epoch = epoch, name = name, mark = mark }
end

local function entry_text(entry)
  return int(entry.seen) .. ' ' .. entry.mono .. ' ' .. entry.wall .. ' ' .. entry.epoch .. ' ' .. entry.name .. ' ' ..
    entry.mark
end
