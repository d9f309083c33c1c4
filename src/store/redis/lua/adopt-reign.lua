#!lua flags=allow-oom
-- Joins the reign of this primary. Checks that the deployment is the one that the instance is configured for. A new
-- reign it installs, with the quarantine that keeps forgotten grants harmless. The name of a reign consists of the
-- config epoch, which a Sentinel majority vouched for, of the replication id that this very node reports here, of the
-- schema, and of whether the deployment has roll calls.
--
-- A new reign makes every instance in the registry owe an answer: their entries name the epoch of a former one.
--
-- The lease clock advances by at most SKEW here too. All clocks step by 100 s during a failover: if the clock took
-- that, every record would lapse at the adoption, and what an instance told before it would not be put back where
-- these data know it. But no holder heard of the step: each goes on by its own clock. The price: a lease of a dead
-- holder lasts longer by the time that nobody ticked. `lapsed_before` takes the whole difference, for the old primary
-- may have. `untaken` is what the clock didn't take: what is put back gets it too, like every record here, or one that
-- was told a moment ago could not be renewed after a long gap.
--
-- An adoption seconds after another bars less than that one did, since its difference is small. So `lapsed_older` keeps
-- the bar for leases that were inherited already then: an isolated primary may have granted their resources.
--
-- A second adoption within a quarantine (`floor`): B was an hour behind and ruled, Y answered it, not fresh, and
-- ticked. C takes B's data: Y's entry is a second old now, its next answer is fresh, and what B lacked is lacking
-- still. So no roll call ends a quarantine before the end of the one that it found running.
--
-- `sure`: no other reign can lie between the one that these data come from and this one, since the config epoch is the
-- next one at most, and these data had known all before it.
--
-- Upgrades the key layout where it finds the former one. An old instance O, a new one N, one primary:
--
-- * O is refused by `enter` from then on: the schema in the reign's name begins a new reign.
-- * The registry is empty, so no answer is fresh before the instances have registered and ticked in it: what O told is
--   covered by a full quarantine.
-- * The instances that come first are all newcomers, and what nobody renews for 17 s is lost. So until `warm_until` a
--   newcomer may tell at once (register-instance.lua), and no roll call ends the quarantine of data that are older than
--   that. Data that are younger know all who did so.
-- * O joins again: it finds a schema that isn't its own, and serves no more. Only if a failover loses the upgrade
--   does O find its own schema on the new primary, and adopt it. The next N that comes upgrades that.
--
-- The name of a reign may come back, in two ways, and then a time in it tells the new one from the old:
--
-- * A ruled under config epoch 0, B under 1. The Sentinels are told to forget the primary, and to watch A: it is named
--   under 0 again. In A's data the reign of before is recorded, with its sessions and its clock, and what B granted is
--   lacking. So an instance that has heard of a later epoch begins the reign `again`.
-- * FLUSHALL: the replication id is the same. What was told before is not what these data know.
--
-- What is said of an upgrade goes for switching roll calls on. Off they can be switched only while nobody is
-- registered: an instance that doesn't register beside others that end a quarantine early would be forgotten.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 config_epoch    Sentinel's config epoch of this primary; '0' without Sentinel
--       2 not_after       do nothing later than this by Redis's TIME
--       3 schema          version of the key layout
--       4 max_ttl         the deployment's largest TTL
--       5 buckets         the deployment's number of buckets
--       6 quarantine      how long nothing is granted; 0 where the operator waived it
--       7 lapsed_after    inherited leases with a deadline before adoption + this can't be renewed; 0 if waived
--       8 seen_token      the largest fencing token that the instance has seen
--       9 bootstrap       'new': without any meta no lease can exist, so nothing needs to wait
--      10 former_schema   the layout that is upgraded
--      11 roll_call       'on' or 'off'
--      12 warm            how long newcomers tell at once where the registry begins
--      13 again           'again': the instance knows of a later config epoch than this
-- REPLY adopted now reign epoch token quarantine_left
--       current now reign epoch token quarantine_left      (the reign was adopted before)
--       mismatch now name found                            (another deployment's schema, max_ttl, buckets or roll_call)
--       replica now                                        (this node is no primary)
--       late now
local meta = KEYS[1]
local config_epoch, not_after = ARGV[1], tonumber(ARGV[2])
local schema, max_ttl, buckets = ARGV[3], ARGV[4], ARGV[5]
local quarantine, lapsed_after = tonumber(ARGV[6]), tonumber(ARGV[7])
local seen_token, bootstrap, former_schema, roll_call = tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11]
local warm, again = tonumber(ARGV[12]), ARGV[13] == 'again'

local now = time_us()
if now > not_after then return { 'late', int(now) } end
local info = redis.call('INFO', 'replication')
if string.match(info, 'role:(%a+)') ~= 'master' then return { 'replica', int(now) } end
local reign = config_epoch .. ':' .. string.match(info, 'master_replid:(%x+)') .. ':' .. schema .. ':' .. roll_call

local recorded = redis.call('HMGET', meta, 'reign', 'epoch', 'clock', 'last', 'token', 'quarantine_until',
  'lapsed_before', 'schema', 'max_ttl', 'buckets', 'roll_call', 'warm_until', 'sure', 'lapsed_older', 'token_at')
local fresh = not recorded[1]
if not fresh then
  if recorded[8] ~= schema and recorded[8] ~= former_schema then
    return { 'mismatch', int(now), 'schema', recorded[8] or '' }
  end
  if recorded[9] ~= max_ttl then return { 'mismatch', int(now), 'max_ttl', recorded[9] or '' } end
  if recorded[10] ~= buckets then return { 'mismatch', int(now), 'buckets', recorded[10] or '' } end
  if recorded[11] == 'on' and roll_call == 'off' then
    local registered = redis.call('EXISTS', string.sub(meta, 1, -5) .. 'instances') == 1
    if registered then return { 'mismatch', int(now), 'roll_call', 'on' } end
  end
  local is_current = recorded[1] == reign or string.sub(recorded[1], 1, #reign + 1) == reign .. ':'
  if is_current and not again then
    -- Another instance adopted first and may have seen less: what this one saw must not be granted again
    -- either.
    if seen_token > tonumber(recorded[5]) then redis.call('HSET', meta, 'token', int(seen_token)) end
    local left = math.max(tonumber(recorded[6]) - tonumber(recorded[3]), 0)
    local token = math.max(seen_token, tonumber(recorded[5]))
    return { 'current', int(now), recorded[1], recorded[2], int(token), int(left) }
  end
  if is_current then reign = reign .. ':' .. int(now) end
elseif bootstrap ~= 'new' then
  reign = reign .. ':' .. int(now)
end

local clock, last, from_clock, adopted, warm_until = now, now, 0, 0, tonumber(recorded[12] or '0')
local epoch, token, quarantine_until, lapsed_before, floor, sure = 1, seen_token, now, 0, 0, '1'
local lapsed_older, untaken, token_older = 0, 0, seen_token
if not fresh then
  from_clock, last = tonumber(recorded[3]), tonumber(recorded[4])
  local gap = math.max(now - last, 0)
  clock = from_clock + math.min(gap, SKEW)
  untaken = gap - math.min(gap, SKEW)
  last = math.max(now, math.min(last, now + SKEW))
  epoch = tonumber(recorded[2]) + 1
  token = math.max(tonumber(recorded[5]), seen_token)
  quarantine_until = tonumber(recorded[6])
  lapsed_before = tonumber(recorded[7])
  lapsed_older = math.max(lapsed_before, tonumber(recorded[14] or '0'))
  token_older = tonumber(recorded[15] or recorded[5]) -- an attempt with a larger one began under the reign just before
  if quarantine_until > from_clock then floor = quarantine_until end
  local from_epoch = tonumber(string.match(recorded[1], '^(%d+):') or '-1') -- (an operator may have written the name)
  local knew_all = floor == 0 or recorded[13] == '1'
  if tonumber(config_epoch) > from_epoch + 1 or not knew_all then sure = '' end
  if quarantine > 0 then lapsed_before = from_clock + gap + lapsed_after end
end
if not (fresh and bootstrap == 'new') then
  -- (On a Redis that nobody has used, nobody can be registered elsewhere: the first one to register serves at once.)
  adopted = clock
  if quarantine > 0 then quarantine_until = math.max(quarantine_until, clock + quarantine) end
end
-- (Not on a Redis that has lost its data, where newcomers could renew what others put back. The next primary may be a
-- replica that has older data, with others registered and without them.)
local begins = roll_call == 'on' and (fresh and bootstrap == 'new' or not fresh and recorded[11] ~= 'on')
if begins then warm_until = clock + warm end
if from_clock < warm_until then floor = quarantine_until end
-- (Of a former roll call. In this one, each instance says it again where these data lack it.)
redis.call('DEL', string.sub(meta, 1, -5) .. 'released')
redis.call('HSET', meta, 'reign', reign, 'epoch', int(epoch), 'clock', int(clock), 'last', int(last),
  'token', int(token), 'quarantine_until', int(quarantine_until), 'full_until', int(quarantine_until),
  'lapsed_before', int(lapsed_before), 'floor', int(floor), 'fresh', '', 'adopted', int(adopted),
  'from_reign', recorded[1] or '', 'from_clock', int(from_clock), 'schema', schema, 'max_ttl', max_ttl,
  'buckets', buckets, 'roll_call', roll_call, 'warm_until', int(warm_until), 'token_at', int(token),
  'token_older', int(token_older),
  'sure', sure, 'lapsed_older', int(lapsed_older), 'untaken', int(untaken))
return { 'adopted', int(now), reign, int(epoch), int(token), int(math.max(quarantine_until - clock, 0)) }
