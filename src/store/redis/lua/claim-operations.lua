#!lua flags=allow-oom
-- Claims the oldest operations of some types that are pending or stale. The same claim_id again gets what it claimed
-- and still runs, and nothing more. (It may run when Redis is full: it frees nothing, but without it nothing is
-- finished.)
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 room            how long a stale attempt's operation is left for recovery
--       5 dead_by_attempts, 6 dead_by_time    the outcomes of the dead
--       7 prefix          of the resource; '' for all
--       8 claim           the claim_id
--       9 owner
--      10 owner_json      the same as JSON
--      11 stamp           "instance/call"
--      12 most            to claim
--      13 most_looks      operations to look at
--      14 after           only operations that are younger than the one of this number; '0' for all
--      15… types
-- REPLY claimed now ask_again behind repeated blocked resource... {left operation...}...
--         ask_again: until something may be claimable by itself, '-' if nothing; behind: the `after` of a call that goes
--         on looking, '-' if all was looked at; repeated: '1' if they were claimed before, and somebody may have been
--         told of them; blocked: how many resources follow
--       quarantined now time_left
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local room, dead_by_attempts, dead_by_time, prefix = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local claim, owner, owner_json, stamp = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local most, most_looks, after, args = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], ARGV

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)
s.room, s.dead_by_attempts, s.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

if s.clock < s.quarantine_until then
  return { 'quarantined', s.time, int(s.quarantine_until - s.clock) }
end

local claimed, blocked, is_blocked = {}, {}, {}
local ask_again, behind, repeated = FAR, '-', '0'

local function reply()
  local again = ask_again == FAR and '-' or int(math.max(ask_again, 0))
  local words = { 'claimed', s.time, again, behind, repeated, int(#blocked) }
  for i, resource in ipairs(blocked) do words[6 + i] = resource end
  for _, one in ipairs(claimed) do
    words[#words + 1] = attempt_left(s, one.o)
    add_operation(s, words, one.name, one.o, true)
  end
  return words
end

local known = redis.call('HGET', s.bucket .. 'claims', claim)
if known then
  -- Whichever stamp they bear: a late call may have put its own on them with a repeat whose answer was lost.
  repeated = '1'
  for name in string.gmatch(known, '[^\n]+') do
    local o = read_operation(s, name)
    if o and o.state == 'running' and o.claim == claim and living(s, o, (split_name(name))) then
      if o.stamp ~= stamp then tell_attempt(s, o, name, 'attempt-moved') end
      o.stamp = stamp
      extend_attempt(s, o, (split_name(name)))
      note_heartbeat(s, name, o)
      claimed[#claimed + 1] = { name = name, o = o }
    end
  end
  return reply()
end

sweep_operations(s, 100)

-- The types' indices merged by age, read piece by piece: first as many as are wanted, then more. No two operations have
-- one age.
local LARGEST_PIECE = 32
local heads = {}
for i = 15, #args do
  local key = s.bucket .. 'claimable:' .. args[i]
  heads[#heads + 1] = { key = key, list = {}, at = 1, after = after, piece = math.min(most, LARGEST_PIECE) }
end

local function head_of(h)
  if h.at > #h.list and not h.is_over then
    h.list = redis.call('ZRANGE', h.key, '(' .. h.after, '+inf', 'BYSCORE', 'LIMIT', 0, h.piece, 'WITHSCORES')
    h.at, h.piece = 1, LARGEST_PIECE
    if #h.list == 0 then h.is_over = true else h.after = h.list[#h.list] end
  end
  return h.list[h.at], tonumber(h.list[h.at + 1])
end

local function oldest()
  local best, best_name, best_age
  for _, h in ipairs(heads) do
    local name, age = head_of(h)
    if name and (not best or age < best_age) then best, best_name, best_age = h, name, age end
  end
  return best, best_name, best_age
end

local function remember_claims()
  local names = {}
  for i, one in ipairs(claimed) do names[i] = one.name end
  redis.call('HSET', s.bucket .. 'claims', claim, table.concat(names, '\n'))
end

local looks, last = 0, after
while #claimed < most do
  local h, name, age = oldest()
  if not h then break end
  if looks >= most_looks then
    behind = last
    break
  end
  looks, last = looks + 1, int(age)
  h.at = h.at + 2
  local resource = split_name(name)
  if string.sub(resource, 1, #prefix) == prefix then
    local o, is_stale = read_operation(s, name), false
    if o then o, is_stale = settle_operation(s, name, o) end
    if o and (o.state == 'pending' and o.claimable <= s.clock or is_stale) then
      local started, L = start_attempt(s, name, o, claim, stamp, owner, owner_json, true)
      if started then
        claimed[#claimed + 1] = { name = name, o = o }
      else
        if L.changed then settle(s, L) end
        if L.count > 0 then ask_again = math.min(ask_again, L.next - s.clock) end
        if s.clock < L.taken_until then ask_again = math.min(ask_again, L.taken_until - s.clock) end
        if not is_blocked[resource] and #blocked < 100 then
          is_blocked[resource] = true
          blocked[#blocked + 1] = resource
        end
      end
    end
  end
end
if #claimed > 0 then remember_claims() end
local first = redis.call('ZRANGE', s.bucket .. 'operation-deadlines', 0, 0, 'WITHSCORES')
if first[2] then ask_again = math.min(ask_again, tonumber(first[2]) - s.clock) end
return reply()
