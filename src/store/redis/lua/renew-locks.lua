#!lua flags=allow-oom
-- Extends live leases that carry the caller's tokens, many in one call. It never renews a lapsed lease: its resource
-- may have been given away. A stream that opens takes its leases over in the same way: from then on its call speaks for
-- them. One whose renew_for is over only looks.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4… of each lease two: resource, and "lease_id token stamp how ttl"
--         stamp: '' or "instance/call" (only while this call speaks for it), how: keep, take (this call speaks for it
--         from now on, and the former one is told) or look (changes nothing), with '+' behind it if the instance does
--         not remember the lease; ttl: 0 for that of the grant
-- REPLY renewed now "word remaining word remaining..." clock {index lease about}...
--         (one text, which is cheaper to send and to read than many) word: renewed (it lives) | final (it lives, up to
--         its max_hold) | lost (no live lease of this id and token) | unknown (the same, but a roll call may put it
--         back) | moved (a newer call speaks for it) | revoked (it lives on only to keep others out). clock: the lease
--         clock; index: from 0, of each lease with a '+' that lives; lease, about: what is recorded and what people are
--         told
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local words, reply = {}, { 'renewed', state.time, '', int(state.clock) }
for i = 4, #args, 2 do
  local resource = args[i]
  local lease_id, token, stamp, how, asks_text, ttl =
    string.match(args[i + 1], '^(%S+) (%d+) (%S*) (%l+)(%+?) (%d+)$')
  ttl = tonumber(ttl)
  local key = state.bucket .. 'lock:' .. resource
  local lease = find_lease(key, lease_id)
  local word, left = nil, '0'
  if not lease or lease.token ~= token or not renewable(state, lease) or lease.state == 'offer' then
    word = may_be_put_back(state) and 'unknown' or 'lost'
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
    word, left = is_final(lease) and 'final' or 'renewed', remaining(state, lease.deadline)
    if asks_text ~= '' then
      local n = #reply
      reply[n + 1], reply[n + 2] = int((i - 4) / 2), lease_text(lease)
      reply[n + 3] = redis.call('HGET', key, lease_id .. '?') or '[]'
    end
  end
  words[#words + 1] = word
  words[#words + 1] = left
end
-- The summary and the index stay as they are: they hold lower bounds.
reply[3] = table.concat(words, ' ')
return reply
