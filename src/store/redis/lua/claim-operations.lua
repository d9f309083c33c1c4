#!lua flags=allow-oom
-- Claims the oldest pending or stale operations of some types. A repeat with the same claim_id gets what that claimed
-- and still runs, and nothing more. (It runs even when Redis is full: it frees nothing, but without it no operation is
-- finished.)
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
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
-- REPLY claimed now ask_again behind repeated died blocked resource... {found waited left operation...}...
--         ask_again: how long until something may become claimable by itself, '-' for never; behind: the `after` with
--         which a call goes on looking, '-' if this one looked at all; repeated: '1' if they were claimed before, and
--         somebody may have been told of them; died: the types of operations that became dead, a tab between them;
--         blocked: how many resources follow; found: pending | stale, '' if repeated; waited: for how long it could
--         have been claimed
--       quarantined now time_left
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local room, dead_by_attempts, dead_by_time, prefix = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local claim, owner, owner_json, stamp = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local most, most_looks, after, args = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)
state.room, state.dead_by_attempts, state.dead_by_time = tonumber(room), dead_by_attempts, dead_by_time

if in_quarantine(state) then return quarantined(state, state.quarantine_until) end

local claimed, blocked, is_blocked = {}, {}, {}
local ask_again, behind, repeated = FAR, '-', '0'

local function reply()
  local again = ask_again == FAR and '-' or int(math.max(ask_again, 0))
  local words = { 'claimed', state.time, again, behind, repeated, deaths(state), int(#blocked) }
  for i, resource in ipairs(blocked) do words[7 + i] = resource end
  for _, one in ipairs(claimed) do
    local n = #words
    words[n + 1], words[n + 2], words[n + 3] = one.found_as, one.waited,
      attempt_told(state, one.op, (split_name(one.name)))
    add_operation(state, words, one.name, one.op, true)
  end
  return words
end

local known = redis.call('HGET', state.bucket .. 'claims', claim)
if known then
  -- Whatever stamp they bear: a late call may have put its own on them, with a repeat whose answer was lost.
  repeated = '1'
  for name in string.gmatch(known, '[^\n]+') do
    local op = read_operation(state, name)
    if op and op.state == 'running' and op.claim == claim and living(state, op, name) then
      if is_unproved_attempt(state, op) then return quarantined(state, state.full_until) end
      claimed[#claimed + 1] = { name = name, op = op, found_as = '', waited = '0' }
    end
  end
  for _, one in ipairs(claimed) do
    local name, op = one.name, one.op
    if op.stamp ~= stamp then tell_attempt(state, op, name, 'attempt-moved') end
    op.stamp = stamp
    extend_attempt(state, op, (split_name(name)))
    note_heartbeat(state, name, op)
  end
  return reply()
end

sweep_operations(state, 100)

-- Merges the types' indices by age, and reads them piece by piece: first as many as are wanted, then more. No two
-- operations have the same age.
local LARGEST_PIECE = 32
local heads = {}
for i = 15, #args do
  local key = state.bucket .. 'claimable:' .. args[i]
  heads[#heads + 1] = { key = key, list = {}, at = 1, after = after, piece = math.min(most, LARGEST_PIECE) }
end

local function head_of(head)
  if head.at > #head.list and not head.is_over then
    head.list = redis.call('ZRANGE', head.key, '(' .. head.after, '+inf', 'BYSCORE', 'LIMIT', 0, head.piece,
      'WITHSCORES')
    head.at, head.piece = 1, LARGEST_PIECE
    if #head.list == 0 then head.is_over = true else head.after = head.list[#head.list] end
  end
  return head.list[head.at], tonumber(head.list[head.at + 1])
end

local function oldest()
  local best, best_name, best_age
  for _, head in ipairs(heads) do
    local name, age = head_of(head)
    if name and (not best or age < best_age) then best, best_name, best_age = head, name, age end
  end
  return best, best_name, best_age
end

local function remember_claims()
  local names = {}
  for i, one in ipairs(claimed) do names[i] = one.name end
  redis.call('HSET', state.bucket .. 'claims', claim, table.concat(names, '\n'))
end

local looks, last = 0, after
while #claimed < most do
  local head, name, age = oldest()
  if not head then break end
  if looks >= most_looks then
    behind = last
    break
  end
  looks, last = looks + 1, int(age)
  head.at = head.at + 2
  local resource = split_name(name)
  if string.sub(resource, 1, #prefix) == prefix then
    local op, is_stale = read_operation(state, name), false
    if op then op, is_stale = settle_operation(state, name, op) end
    if op and (op.state == 'pending' and op.claimable <= state.clock or is_stale) then
      local found_as, waited = found(state, op, is_stale)
      local waits, started, lock = start_waits(state, name, op), false, nil
      if not waits then
        started, lock = start_attempt(state, name, op, claim, stamp, owner, owner_json, true)
      end
      if started then
        claimed[#claimed + 1] = { name = name, op = op, found_as = found_as, waited = waited }
      elseif waits then
        ask_again = math.min(ask_again, waits - state.clock)
      else
        if lock.count > 0 then ask_again = math.min(ask_again, lock.next - state.clock) end
        if state.clock < lock.taken_until then ask_again = math.min(ask_again, lock.taken_until - state.clock) end
        if not is_blocked[resource] and #blocked < 100 then
          is_blocked[resource] = true
          blocked[#blocked + 1] = resource
        end
      end
    end
  end
end
if #claimed > 0 then remember_claims() end
local first = redis.call('ZRANGE', state.bucket .. 'operation-deadlines', 0, 0, 'WITHSCORES')
if first[2] then ask_again = math.min(ask_again, tonumber(first[2]) - state.clock) end
return reply()
