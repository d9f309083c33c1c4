#!lua flags=allow-oom
-- Puts back what an instance has told and these data may lack, and with the last batch answers the roll call. When all
-- in the registry have answered, and one answer was fresh, nothing is forgotten: the quarantine ends.
--
-- * Fresh: Y was cut off from A for 20 s; X came there, waited, granted. A replica that lags as much is promoted, with
--   Y alone in its registry. Y knows by its entry that these data are too old to name all.
-- * All, and put back before: an answer of the others, or of this one ahead of its leases, would let the next script
--   grant what somebody holds.
-- * Released: the release of a lease was told, and these data lack it. Nobody holds that lease, and its record would
--   block the resource until its deadline. So it goes, whatever its state is, also where this reign has renewed it: a
--   stream on X keeps the lease, its client releases it through Y, the primary dies before X hears of that, X renews it
--   here for the stream, and then Y answers. A release is asked for with the lease_id, which gives the right to it, and
--   from then on nobody counts on that lease, as at any other time; the stream hears of it. Only the lease with this
--   token goes: an acquire with the same lease_id after the release has another one.
-- * X granted it, and doesn't know of its release through Y. Whichever answers first, it is not put back: what was
--   released is remembered until all have answered.
-- * The largest token that the instance has seen is larger than what these data know: the next one must be larger
--   still.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance
--       4 complete        '1': with these it has put back all that it has to
--       5 fresh           '1': by its own entry, these data were young enough when it joined
--       6 seen_token      the largest fencing token that it has seen
--       7… of each lease five: resource, lease_id, lease (as it was recorded), about (what people are told), and
--          "left ceiling_left hold_left config_epoch clock"
--          left: of what its holder was told; 0 or less: only the min_hold goes on. ceiling_left: of its max_hold, 0
--          for none. config_epoch, clock: under which one of the Sentinels, and at which lease clock it was told
--          Or of a lease that was released: resource, lease_id, "released token", '', ''
-- REPLY answered now clock quarantine_left owing put_back freed    (owing: how many have not answered yet; freed: how
--         many of the released ones were here)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local complete, fresh, seen_token, args = ARGV[4] == '1', ARGV[5] == '1', tonumber(ARGV[6]), ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)
if seen_token > state.token then
  state.token = seen_token
  redis.call('HSET', meta, 'token', int(seen_token))
end

local from = redis.call('HMGET', meta, 'from_reign', 'from_clock', 'floor', 'untaken')
local from_epoch = tonumber(string.match(from[1], '^(%d+):') or '0')

-- Whether what was told is newer than the record that is here. A stream may have moved from one instance to another,
-- and both put its lease back: the later one speaks for it, or the holder would hear that its lease has moved. What
-- this reign has renewed is newer than all that was told before.
local function is_newer(own, config_epoch, clock)
  if not is_inherited(state, own) or own.epoch == OVERTAKEN then return false end
  local known_epoch, known_clock = string.match(own.epoch, '^r(%d+)%.(%d+)$')
  known_epoch, known_clock = tonumber(known_epoch) or from_epoch, tonumber(known_clock) or tonumber(from[2]) - 1
  if config_epoch ~= known_epoch then return config_epoch > known_epoch end
  return clock > known_clock
end

-- Whether what was told takes the place of a record of its id with another token. Not of one that was granted later:
-- the id was used again after a release, which another instance was told of.
local function replaces(own, lease, config_epoch)
  if tonumber(own.token) < tonumber(lease.token) then return true end
  local is_told = not is_inherited(state, own) or string.byte(own.epoch) == 114 -- 'r'
  local is_of_former = tonumber(own.epoch) == tonumber(state.epoch) - 1
  return not is_told and not (is_of_former and config_epoch < from_epoch)
end

-- The lease that is told of is here: it lasts at least as long as its holder was told.
local function raise(lock, lease_id, own, lease, newer)
  if own.state == 'offer' then
    forget_offer(state, lock, lease_id, own.stamp)
    own.state, own.ttl, own.ceiling = 'held', lease.ttl, lease.ceiling
  end
  own.deadline = math.max(own.deadline, lease.deadline)
  if newer then
    own.stamp, own.epoch = lease.stamp, lease.epoch
    if lease.state == 'revoked' then own.state = 'revoked' end
  end
  redis.call('HSET', lock.key, lease_id, lease_text(own))
end

-- A lease was over before a later one was granted that it doesn't go with. The interleaving: its holder was told until
-- T; the isolated primary A recorded a renewal of it that nobody was told of; B granted the resource after T; A is
-- chosen again, and the grant of B is put back beside it. Who asked for it here by its token would be told that it is
-- renewed. It blocks until its deadline, as all that is recorded does.
local function overtake_others(lock, lease_id, lease)
  local flat = redis.call('HGETALL', lock.key)
  for i = 1, #flat, 2 do
    local other = is_lease(flat[i]) and flat[i] ~= lease_id and read_lease(flat[i + 1])
    if other and tonumber(other.token) < tonumber(lease.token) and is_inherited(state, other)
      and (other.mode == 'exclusive' or lease.mode == 'exclusive') then
      other.epoch = OVERTAKEN
      redis.call('HSET', lock.key, flat[i], lease_text(other))
    end
  end
end

local put_back, freed = 0, 0
-- A hash, with a field "lease_id token" for each. It goes with the next adoption (adopt-reign.lua), with the early end,
-- or with the first tick after the quarantine (tick-clock.lua).
local all_released = state.bucket .. 'released'

-- Puts back what is told of a lease. `own`: the record of this id that blocks.
local function restore(lock, lease_id, own, lease, about, spans)
  local left, ceiling_left, hold_left, config_epoch, clock =
    string.match(spans, '^(%S+) (%d+) (%S+) (%d+) (%d+)$')
  left, ceiling_left, hold_left = tonumber(left), tonumber(ceiling_left), tonumber(hold_left)
  if hold_left > 0 then raise_min_hold(state, lock, lease.token, state.clock + hold_left) end
  if left > 0 and redis.call('HEXISTS', all_released, lease_id .. ' ' .. lease.token) == 0 then
    lease.deadline = state.clock + left + SKEW + tonumber(from[4])
    lease.ceiling = ceiling_left > 0 and state.clock + ceiling_left + SKEW or 0
    if lease.ceiling > 0 then lease.deadline = math.min(lease.deadline, lease.ceiling) end
    lease.epoch = 'r' .. config_epoch .. '.' .. clock
    if own and own.token == lease.token then
      raise(lock, lease_id, own, lease, is_newer(own, tonumber(config_epoch), tonumber(clock)))
    elseif not own or replaces(own, lease, tonumber(config_epoch)) then
      -- In place of a grant of this id that nobody was told of: that is how two differ.
      if own then
        lease.deadline = math.max(lease.deadline, own.deadline)
        remove_holder(state, lock, lease_id, own)
      end
      if lock.mode == 'exclusive' or lease.mode == 'exclusive' and lock.count > 0 then
        overtake_others(lock, lease_id, lease)
      end
      add_holder(lock, lease_id, lease, about)
      put_back = put_back + 1
    end
  end
end

local function free(lock, lease_id, own)
  if own.state ~= 'offer' and is_of_stream(own.stamp) then
    tell(state, own.stamp, 'released', lease_id, '0', lock.resource)
  end
  remove_holder(state, lock, lease_id, own)
  freed = freed + 1
end

for i = 7, #args, 5 do
  local resource, lease_id, text = args[i], args[i + 1], args[i + 2]
  local lock, own = open_lock(state, resource, lease_id)
  drop_lapsed(state, lock)
  if own and not blocks(state, own) then own = nil end
  local released = string.match(text, '^released (%d+)$')
  if not released then
    restore(lock, lease_id, own, read_lease(text), args[i + 3], args[i + 4])
  else
    if in_quarantine(state) then redis.call('HSET', all_released, lease_id .. ' ' .. released, '') end
    if own and own.token == released then
      free(lock, lease_id, own)
      -- In a quarantine this hands nothing over: those who wait ask again at its end. But an instance may answer late.
      hand_over(state, lock)
    end
  end
  save_lock(state, lock)
end

local instances, owing = state.bucket .. 'instances', 0
local entry = read_entry(state.entry)
if complete then
  entry.epoch = state.epoch
  redis.call('HSET', instances, caller, entry_text(entry))
  if fresh then redis.call('HSET', meta, 'fresh', '1') end
end
local flat = redis.call('HGETALL', instances)
for i = 2, #flat, 2 do
  if read_entry(flat[i]).epoch ~= state.epoch then owing = owing + 1 end
end
local has_fresh = redis.call('HGET', meta, 'fresh') == '1'
local opens = math.max(state.clock, tonumber(from[3]))
if complete and owing == 0 and has_fresh and opens < state.quarantine_until then
  state.quarantine_until = opens
  redis.call('HSET', meta, 'quarantine_until', int(opens))
  redis.call('DEL', all_released)
  -- All that wait were told a later moment.
  for i = 1, #flat, 2 do tell(state, flat[i] .. '/0', 'resync', '-', '0', '-') end
end
local left = math.max(state.quarantine_until - state.clock, 0)
return { 'answered', state.time, int(state.clock), int(left), int(owing), int(put_back), int(freed) }
