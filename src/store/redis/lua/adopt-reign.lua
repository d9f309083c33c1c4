#!lua flags=allow-oom
-- Joins the reign of this primary. Checks that the deployment is the one that the instance is configured for. A new
-- reign it installs, with the quarantine that keeps forgotten grants harmless. The name of a reign consists of the
-- config epoch, which a Sentinel majority vouched for, of the replication id that this very node reports here, and of
-- the schema.
--
-- Upgrades the key layout where it finds the former one. An old instance O, a new one N, one primary:
--
-- * O hands a lock over to its waiter: a lease in the state 'claim', which ends within a second. N upgrades. O
--   confirms. The scripts of N know no 'claim' and would take it for a lease that is held. But the schema in the
--   reign's name begins a new reign, so `enter` refuses the confirmation; and as that lease ends before
--   `lapsed_before`, it lives under N for nobody. Nobody was told of it.
-- * A lease that O did tell of, and that `lapsed_before` ends, was over for its holder a second before: the
--   deadline that is recorded carries the skew allowance of two.
-- * O joins again: it finds a schema that isn't its own, and serves no more. Only if a failover loses the upgrade
--   does O find its own schema on the new primary, and adopt it. The next N that comes upgrades that.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 config_epoch    Sentinel's config epoch of this primary; '0' without Sentinel
--       2 not_after       do nothing later than this by Redis's TIME
--       3 schema          version of the key layout
--       4 max_ttl         the deployment's largest TTL
--       5 buckets         the deployment's number of buckets
--       6 quarantine      how long nothing is granted; 0 where the operator waived it
--       7 lapsed_after    inherited leases with a deadline before adoption + this are lapsed; 0 if waived
--       8 seen_token      the largest fencing token that the instance has seen
--       9 bootstrap       'new': without any meta no lease can exist, so nothing needs to wait
--      10 former_schema   the layout that is upgraded
-- REPLY adopted now reign epoch token quarantine_left
--       current now reign epoch token quarantine_left      (the reign was adopted before)
--       mismatch now name found                            (another deployment's schema, max_ttl or buckets)
--       replica now                                        (this node is no primary)
--       late now
local meta = KEYS[1]
local config_epoch, not_after = ARGV[1], tonumber(ARGV[2])
local schema, max_ttl, buckets = ARGV[3], ARGV[4], ARGV[5]
local quarantine, lapsed_after = tonumber(ARGV[6]), tonumber(ARGV[7])
local seen_token, bootstrap, former_schema = tonumber(ARGV[8]), ARGV[9], ARGV[10]

-- How long an unconfirmed hand-over lived in the former layout.
local FORMER_OFFER = 1000000

local now = time_us()
if now > not_after then return { 'late', int(now) } end
local info = redis.call('INFO', 'replication')
if string.match(info, 'role:(%a+)') ~= 'master' then return { 'replica', int(now) } end
local reign = config_epoch .. ':' .. string.match(info, 'master_replid:(%x+)') .. ':' .. schema

local recorded = redis.call('HMGET', meta, 'reign', 'epoch', 'clock', 'last', 'token', 'quarantine_until',
  'lapsed_before', 'schema', 'max_ttl', 'buckets')
local fresh = not recorded[1]
local upgrades = recorded[8] == former_schema
if not fresh then
  if recorded[8] ~= schema and not upgrades then return { 'mismatch', int(now), 'schema', recorded[8] or '' } end
  if recorded[9] ~= max_ttl then return { 'mismatch', int(now), 'max_ttl', recorded[9] or '' } end
  if recorded[10] ~= buckets then return { 'mismatch', int(now), 'buckets', recorded[10] or '' } end
  if recorded[1] == reign then
    -- Another instance adopted first and may have seen less: what this one saw must not be granted again
    -- either.
    if seen_token > tonumber(recorded[5]) then redis.call('HSET', meta, 'token', int(seen_token)) end
    local left = math.max(tonumber(recorded[6]) - tonumber(recorded[3]), 0)
    local token = math.max(seen_token, tonumber(recorded[5]))
    return { 'current', int(now), reign, recorded[2], int(token), int(left) }
  end
end

-- The clock takes the whole difference here, not 2 s at most: between reigns nobody may have ticked it for
-- long, and a clock that fell behind would keep leases alive (and their holders' successors waiting) that
-- ended long ago.
local clock = now
local epoch, token, quarantine_until, lapsed_before = 1, seen_token, now, 0
if not fresh then
  clock = tonumber(recorded[3]) + math.max(now - tonumber(recorded[4]), 0)
  epoch = tonumber(recorded[2]) + 1
  token = math.max(tonumber(recorded[5]), seen_token)
  quarantine_until = tonumber(recorded[6])
  lapsed_before = tonumber(recorded[7])
end
if not (fresh and bootstrap == 'new') and quarantine > 0 then
  quarantine_until = math.max(quarantine_until, clock + quarantine)
  lapsed_before = clock + lapsed_after
end
if upgrades then
  lapsed_before = math.max(lapsed_before, clock + FORMER_OFFER + 1) -- also without a quarantine
  redis.call('HDEL', meta, 'page_secret') -- a field of the former layout alone
end
redis.call('HSET', meta, 'reign', reign, 'epoch', int(epoch), 'clock', int(clock), 'last', int(now),
  'token', int(token), 'quarantine_until', int(quarantine_until), 'lapsed_before', int(lapsed_before),
  'schema', schema, 'max_ttl', max_ttl, 'buckets', buckets)
return { 'adopted', int(now), reign, int(epoch), int(token), int(math.max(quarantine_until - clock, 0)) }
