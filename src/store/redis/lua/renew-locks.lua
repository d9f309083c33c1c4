#!lua flags=allow-oom
-- Extends live leases that carry the caller's tokens, many in one call. It never renews a lapsed lease: its resource
-- may have been given away. A stream that opens takes its leases over in the same way: from then on its call speaks for
-- them. One whose renew_for is over only looks.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4… of each lease two: resource, and "lease_id token stamp how ttl"
--         stamp: '' or "instance/call" (only while this call speaks for it), how: keep, take (this call speaks for it
--         from now on, and the former one is told) or look (changes nothing), ttl: 0 for that of the grant
-- REPLY renewed now "word remaining word remaining..."      (one text, which is cheaper to send and to read than many)
--         word: renewed (it lives) | final (it lives, up to its max_hold) | lost (no live lease of this id and token)
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
  local lease_id, token, stamp, how, ttl = string.match(args[i + 1], '^(%S+) (%d+) (%S*) (%l+) (%d+)$')
  ttl = tonumber(ttl)
  local key = state.bucket .. 'lock:' .. resource
  local lease = find_lease(key, lease_id)
  local word, left = nil, '0'
  if not lease or lease.token ~= token or not alive(state, lease) or lease.state == 'offer' then
    word = 'lost'
  elseif lease.state == 'revoked' then
    word = 'revoked'
  elseif stamp ~= '' and lease.stamp ~= stamp and how ~= 'take' then
    word = 'moved'
  else
    if how ~= 'look' then
      extend(state, lease, ttl > 0 and ttl or lease.ttl)
      if how == 'take' and lease.stamp ~= stamp then
        tell(state, lease.stamp, 'moved', lease_id, '0', resource)
        lease.stamp = stamp
      end
      redis.call('HSET', key, lease_id, lease_text(lease))
    end
    word, left = is_final(lease) and 'final' or 'renewed', remaining(state, lease)
  end
  words[#words + 1] = word
  words[#words + 1] = left
end
-- The summary and the index stay as they are: they hold lower bounds.
return { 'renewed', state.time, table.concat(words, ' ') }
