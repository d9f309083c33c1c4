#!lua flags=allow-oom
-- Advances the lease clock, as every instance does once a second, and does what is due: frees what lapsed, hands it
-- over, forgets waiters that stayed away. Only the lease clock ends a lock, never the TTL of a key, so no step of a
-- system clock drops one.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 most            how many locks, absent waiters and operations to look at, at most
--       5 room            how long a stale attempt's operation is left for recovery
--       6 dead_by_attempts, 7 dead_by_time    the outcomes of the dead
-- REPLY ticked now quarantine_left more died
--         more: '1' when not all that is due was looked at; died: the types of operations that became dead, a tab
--         between them
--       late now | reign now
local meta, reign, not_after, skew, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local room, dead_by_attempts, dead_by_time = ARGV[5], ARGV[6], ARGV[7]

local state, refusal = enter(meta, reign, not_after, skew)
if not state then return refusal end
advance(state)
state.room, state.dead_by_attempts, state.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

local more = false
local due = redis.call('ZRANGE', state.bucket .. 'deadlines', '-inf', int(state.clock), 'BYSCORE', 'LIMIT', 0, most)
for _, resource in ipairs(due) do
  local lock = open_lock(state, resource)
  settle(state, lock)
  more = more or lock.more
end

local gone = redis.call('ZRANGE', state.bucket .. 'patience', '-inf', int(state.clock), 'BYSCORE', 'LIMIT', 0, most)
local left_by = {}
for _, member in ipairs(gone) do
  local lease_id, resource = string.match(member, '^(%S+) (.*)$')
  local lock = open_lock(state, resource)
  forget_waiter(state, lock, lease_id)
  left_by[resource] = lock
end
for _, lock in pairs(left_by) do
  settle(state, lock)
  more = more or lock.more
end

local absent = redis.call('HGETALL', state.bucket .. 'absent')
for i = 1, #absent, 2 do
  if tonumber(absent[i + 1]) + 2 * FORGOTTEN_AFTER < state.clock then
    redis.call('HDEL', state.bucket .. 'absent', absent[i])
  end
end

most = tonumber(most)
more = more or #due == most or #gone == most
-- After the locks, so that it sees an attempt as stale whose lease has just lapsed.
more = sweep_operations(state, most) == most or more
local left = math.max(state.quarantine_until - state.clock, 0)
return { 'ticked', state.time, int(left), more and '1' or '0', deaths(state) }
