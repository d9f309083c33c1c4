#!lua
-- Makes a failed or dead operation pending again, as if it had never been tried, but for the numbers of its attempts.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 name            "resource TAB operation_id"
--       5 version         0: whatever its version
--       6 from            the states from which it may be tried again
--       7 request_id      '' for none
-- REPLY changed now operation...     (as in operation-views.lua)
--       not-found now | wrong-state now | version-mismatch now
--       open now               (another open operation of the resource, and one of the two is exclusive)
--       quarantined now time_left
--       late now | reign now
local meta, reign, not_after, skew, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local version, from, request_id = tonumber(ARGV[5]), ARGV[6], ARGV[7]

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local o = read_operation(s, name, true)
if not o then return { 'not-found', s.time } end
if not is_repeat(o, 'retry', request_id) then
  if not is_one_of(o.state, from) then return { 'wrong-state', s.time } end
  if version > 0 and version ~= o.version then return { 'version-mismatch', s.time } end
  -- Another open one may have been forgotten.
  if o.exclusive and s.clock < s.quarantine_until then
    return { 'quarantined', s.time, int(s.quarantine_until - s.clock) }
  end
  if is_open_elsewhere(s, (split_name(name)), o.exclusive) then return { 'open', s.time } end
  remember_request(o, 'retry', request_id)
  redis.call('HDEL', operation_key(s, name), 'outcome')
  o.state, o.counted, o.cancel, o.reason, o.finished, o.outcome = 'pending', 0, false, '', '', false
  o.expires = o.ttl > 0 and s.clock + o.ttl or 0
  change_operation(s, name, o)
end
local reply = { 'changed', s.time }
add_operation(s, reply, name, o, true)
return reply
