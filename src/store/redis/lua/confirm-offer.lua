#!lua flags=allow-oom
-- Makes an offer, a grant by hand-over, a lease: its instance has heard of it and is about to tell its caller.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 resource
--       5 lease_id
--       6 stamp           "instance/call": only while this call speaks for it
--       7 ttl
--       8 min_hold        0: none
--       9 max_hold        0: no bound
-- REPLY granted now token remaining
--       repeated now token remaining    (it was a lease before: somebody may have been told of it)
--       gone now          it lapsed, was given back or revoked, or a newer call speaks for it
--       late now | reign now
local meta = KEYS[1]
local reign, not_after, skew, resource, lease_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stamp, ttl, min_hold, max_hold = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local L = open_lock(s, resource)
local text = redis.call('HGET', L.key, lease_id)
local l = text and read_lease(text)
-- A newer call speaks for it, and has the offer to confirm.
if l and l.stamp ~= stamp then return { 'gone', s.time } end
forget_offer(s, L, lease_id, stamp)
-- In a quarantine an offer is what a repeat is: recorded by a primary that may never have confirmed it.
if not l or not alive(s, l) or s.clock < s.quarantine_until then return { 'gone', s.time } end
-- The repeat of a confirmation whose lease was revoked since.
if l.state == 'revoked' then return { 'gone', s.time } end
local word = l.state == 'offer' and 'granted' or 'repeated'
if l.state == 'offer' then
  if min_hold > 0 then
    add_min_hold(s, L, l, min_hold)
    save_lock(s, L)
  end
  hold(s, l, ttl, max_hold)
  tell_watchers(s, L) -- a holder that lives on, no more an offer of one second
else
  extend(s, l, ttl)
end
redis.call('HSET', L.key, lease_id, lease_text(l))
return { word, s.time, l.token, remaining(s, l) }
