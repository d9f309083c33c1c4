#!lua flags=allow-oom
-- Extends live leases that carry the caller's tokens, many in one call. It never renews a lapsed lease: its resource
-- may have been given away. A stream that opens takes its leases over in the same way: from then on its call speaks for
-- them.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4… of each lease two: resource, and "lease_id token stamp take_over ttl"
--         stamp: '' or "instance/call" (only while this call speaks for it), take_over: '1' (this call speaks for it
--         from now on, and the former one is told) or '0', ttl: 0 for that of the grant
-- REPLY renewed now "word remaining word remaining..."      (one text, which is cheaper to send and to read than many)
--         word: renewed | final (renewed, up to its max_hold) | lost (no live lease of this id and token)
--           | moved (a newer call speaks for it) | revoked (it lives on only to keep others out)
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local state, refusal = enter(meta, reign, not_after, skew)
if not state then return refusal end
advance(state)

local words = {}
for i = 4, #args, 2 do
  local resource = args[i]
  local lease_id, token, stamp, take_over, ttl = string.match(args[i + 1], '^(%S+) (%d+) (%S*) ([01]) (%d+)$')
  take_over, ttl = take_over == '1', tonumber(ttl)
  local key = state.bucket .. 'lock:' .. resource
  local lease = find_lease(key, lease_id)
  local word, left = nil, '0'
  if not lease or lease.token ~= token or not alive(state, lease) or lease.state == 'offer' then
    word = 'lost'
  elseif lease.state == 'revoked' then
    word = 'revoked'
  elseif stamp ~= '' and lease.stamp ~= stamp and not take_over then
    word = 'moved'
  else
    extend(state, lease, ttl > 0 and ttl or lease.ttl)
    if take_over and lease.stamp ~= stamp then
      tell(state, lease.stamp, 'moved', lease_id, '0', resource)
      lease.stamp = stamp
    end
    redis.call('HSET', key, lease_id, lease_text(lease))
    word, left = lease.ceiling > 0 and lease.deadline >= lease.ceiling and 'final' or 'renewed', remaining(state, lease)
  end
  words[#words + 1] = word
  words[#words + 1] = left
end
-- The summary and the index stay as they are: they hold lower bounds.
return { 'renewed', state.time, table.concat(words, ' ') }
