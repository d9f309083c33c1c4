#!lua flags=allow-oom
-- Makes an offer a lease: the instance has heard of the hand-over and is about to tell its caller.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
--       5 lease_id
--       6 stamp           "instance/call": only while this call speaks for it
--       7 ttl
--       8 min_hold        0: none
--       9 max_hold        0: no bound
-- REPLY granted now token remaining limit clock lease took    (as that of acquire-lock; took: since the resource was
--         free for it)
--       repeated now token remaining limit clock lease    (it was a lease before: somebody may have been told of it)
--       gone now          it lapsed, was given back or revoked, or a newer call speaks for it
--       late now | reign now | unregistered now
local meta = KEYS[1]
local reign, not_after, caller, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stamp, ttl, min_hold, max_hold = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local lock, lease = open_lock(state, resource, lease_id)
-- A newer call speaks for it. That one confirms the offer.
if lease and lease.stamp ~= stamp then return { 'gone', state.time } end
forget_offer(state, lock, lease_id, stamp)
-- In a quarantine an offer is like a repeat: the primary that recorded it may never have confirmed it.
-- (A revoked one: this repeats a confirmation, and the lease was revoked since.)
if not lease or not may_tell(state, lease) then return { 'gone', state.time } end
local word = accept(state, lock, lease, ttl, min_hold, max_hold)
if word == 'granted' then
  -- The summary counts the offer already; only a min_hold is new to it. Those who watch see a holder that lives on,
  -- where they saw an offer.
  if min_hold > 0 then save_lock(state, lock) else tell_watchers(state, lock.resource) end
end
local text = lease_text(lease)
redis.call('HSET', lock.key, lease_id, text)
return told(state, lock, word, lease, text, word == 'granted' and int(since_grant(state, lease.acquired)) or nil)
