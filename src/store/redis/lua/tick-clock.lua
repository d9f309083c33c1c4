#!lua flags=allow-oom
-- Advances the lease clock, as every instance does once a second, and does what is due: frees what lapsed, hands it
-- over, forgets waiters that stayed away. Only the lease clock ends a lock, never the TTL of a key, so no step of a
-- system clock drops one.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 most            how many locks, absent waiters and operations to look at, at most
--       5 room            how long a stale attempt's operation is left for recovery
--       6 dead_by_attempts, 7 dead_by_time    the outcomes of the dead
--       8 mono, 9 wall    when by the instance's own clocks it asked the oldest question of the newest majority that
--                         named this primary under this epoch; '' '' if none did
--      10 kept            how long the entry of an instance stays that ticks no more
--      11 mark            of the entry from now on; '' for none
--      12 accepted        the marks that the entry may bear now, a space between them
-- REPLY ticked now quarantine_left more died full_left fresh owing {id name unseen}...
--         more: '1' when not all that is due was looked at; died: the types of operations that became dead, a tab
--         between them; full_left: of the quarantine that no roll call ends; fresh: '1' if one answer was; owing: how
--         many have not answered; of up to ten of them: for how long they were not seen
--       contested now      (somebody else has ticked under this id)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local room, dead_by_attempts, dead_by_time = ARGV[5], ARGV[6], ARGV[7]
local mono_ms, wall_ms, kept, mark, accepted = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11] or '', ARGV[12] or ''

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)
-- Two processes have one id. X grants, and the copy answers the roll call for both, without what X told. So as soon as
-- one of them finds out none goes on: the entry stays, nobody answers for it, and it is dropped when all is over.
local entry = state.entry and read_entry(state.entry)
if mark ~= '' and entry and entry.mark ~= '' then
  local is_own = string.find(' ' .. accepted .. ' ', ' ' .. entry.mark .. ' ', 1, true)
  if not is_own then
    entry.mark = CONTESTED
    redis.call('HSET', state.bucket .. 'instances', caller, entry_text(entry))
    return { 'contested', state.time }
  end
end
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

-- All that was told before the adoption is over.
local bars = state.bucket .. 'bars'
if not in_full_quarantine(state) and redis.call('EXISTS', bars) == 1 then
  local some = redis.call('HRANDFIELD', bars, most)
  redis.call('HDEL', bars, unpack(some))
  more = more or #some == tonumber(most)
end

most = tonumber(most)
more = more or #due == most or #gone == most
-- After the locks, so that it sees an attempt as stale whose lease has just lapsed.
more = sweep_operations(state, most) == most or more
local reply = {
  'ticked', state.time, int(math.max(state.quarantine_until - state.clock, 0)), more and '1' or '0', deaths(state),
  int(math.max(state.full_until - state.clock, 0)), '0', '0',
}
if not entry then return reply end

-- The sign of life. What a majority said is written, not that it ticked: an isolated old primary A is ticked for 20 s
-- by Y beside it. B rules, and X grants there. A is chosen again. By the time of the tick Y's entry is a second old,
-- and these data look as if they knew X.
local instances = state.bucket .. 'instances'
entry.seen, entry.mark = state.clock, mark
if mono_ms ~= '' then entry.mono, entry.wall = mono_ms, wall_ms end
redis.call('HSET', instances, caller, entry_text(entry))

-- An instance that ticks no more is dropped when all that it told is over. Not in a quarantine: who owes an answer
-- would be forgotten. The releases that were repeated can go too: an instance that died never puts back what it told,
-- and nothing that one may still put back outlasts the quarantine.
if not in_quarantine(state) then
  local some = redis.call('HRANDFIELD', instances, 16, 'WITHVALUES')
  for i = 1, #some, 2 do
    if state.clock - read_entry(some[i + 1]).seen > kept then redis.call('HDEL', instances, some[i]) end
  end
  redis.call('DEL', state.bucket .. 'released')
  return reply
end

local owing = 0
local flat = redis.call('HGETALL', instances)
for i = 1, #flat, 2 do
  local other = read_entry(flat[i + 1])
  if other.epoch ~= state.epoch then
    owing = owing + 1
    local n = #reply
    if owing <= 10 then
      reply[n + 1], reply[n + 2], reply[n + 3] = flat[i], other.name, int(math.max(state.clock - other.seen, 0))
    end
  end
end
reply[7] = redis.call('HGET', meta, 'fresh') == '1' and '1' or '0'
reply[8] = int(owing)
return reply
