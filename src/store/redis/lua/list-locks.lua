#!lua flags=no-writes
-- Lists a piece of a page of the locks that are not free, in the order of their names' bytes. Writes nothing, and reads
-- the clock as a mutating script would advance it. It begins behind a name, not at a number, so locks that come or go
-- between two pieces move no other.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 after           only names behind this one; '': from the first
--       5 prefix          only names that begin with this
--       6 owner           only locks with a holder or waiter whose text for people begins with this; '': all
--       7 states          the wanted ones, each between commas: ',held,min-hold,'
--       8 most            locks in the piece
--       9 most_looks      names, holders and waiters to look at; more end the piece
--      10 most_listed     holders and waiters of each lock
--      11 most_sorted     of more holders than this, some are listed and not the oldest
--      12 most_bytes      a piece that is longer ends
-- REPLY listed now last more looks bytes {view}...      (see lock-views.lua)
--         last: the last name that was looked at, behind which the next piece begins; more: '1' or '0'; looks and
--         bytes: of this piece
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, after, prefix = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local owner, states, most, most_looks = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local most_listed, most_sorted, most_bytes = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end

local reply = { 'listed', state.time, after, '0', '0', '0' }
local looks, locks, bytes, measured = 0, 0, 0, #reply

local function is_owner(about) return string.sub(about, 1, #owner) == owner end

-- Who is shown counts: live holders, and waiters that are in the queue.
local function has_owner(lock)
  if lock.count > 0 then
    looks = looks + lock.count
    for _, lease in ipairs(oldest_holders(state, lock)) do
      if is_owner(redis.call('HGET', lock.key, lease.lease_id .. '?')) then return true end
    end
  end
  local flat = redis.call('HGETALL', lock.waiters)
  looks = looks + #flat / 4
  for i = 1, #flat, 2 do
    if string.byte(flat[i], -1) == 63 and is_owner(flat[i + 1]) then
      if redis.call('ZSCORE', lock.queue, string.sub(flat[i], 1, -2)) then return true end
    end
  end
  return false
end

local function is_wanted(lock)
  local look = lock.count > 0 and 'held' or lock.taken_until > state.clock and 'min-hold' or 'free'
  if not string.find(states, ',' .. look .. ',', 1, true) then return false end
  return owner == '' or has_owner(lock)
end

-- No byte of UTF-8 is 255, so this lies behind every name with the prefix.
local to = prefix == '' and '+' or '(' .. prefix .. '\255'
local from = after ~= '' and '(' .. after or prefix ~= '' and '[' .. prefix or '-'
while true do
  local names = redis.call('ZRANGE', state.bucket .. 'names', from, to, 'BYLEX', 'LIMIT', 0, 100)
  for _, name in ipairs(names) do
    if locks >= most or looks >= most_looks or bytes >= most_bytes then
      reply[4], reply[5], reply[6] = '1', int(looks), int(bytes)
      return reply
    end
    reply[3] = name
    looks = looks + 1
    local lock = look_at(state, name)
    if is_wanted(lock) then
      add_view(state, lock, reply, most_listed, most_sorted)
      locks = locks + 1
      looks = looks + (lock.count <= most_sorted and lock.count or most_listed)
      for i = measured + 1, #reply do bytes = bytes + #reply[i] end
      measured = #reply
    end
  end
  if #names < 100 then return reply end
  from = '(' .. names[#names]
end
