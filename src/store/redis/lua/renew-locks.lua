#!lua flags=allow-oom
-- Extends live leases that carry their tokens, many in one call. A lapsed one is never renewed: its resource may have
-- been given away. A stream that opens takes its leases over in the same way: from then on its call speaks for them.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4… of each lease: resource, lease_id, token, stamp ('' or "instance/call": only while this call speaks for it),
--         take_over ('1': this call speaks for it from now on, and the former one is told),
--         ttl (0: that of the grant)
-- REPLY renewed now {word token remaining}...
--         word: renewed | final (renewed, up to its max_hold) | lost (no live lease of this id and token)
--           | moved (a newer call speaks for it) | revoked (it was taken away, and lives only for the others' sake)
--       late now | reign now
local meta, reign, not_after, skew = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local reply = { 'renewed', int(s.now) }
for i = 4, #args, 6 do
  local resource, lease_id, token, stamp = args[i], args[i + 1], args[i + 2], args[i + 3]
  local take_over, ttl = args[i + 4] == '1', tonumber(args[i + 5])
  local lock = s.bucket .. 'lock:' .. resource
  local text = redis.call('HGET', lock, lease_id)
  local l = text and read_lease(text)
  local n = #reply
  if not l or l.token ~= token or not alive(s, l) or l.state == 'claim' then
    reply[n + 1], reply[n + 2], reply[n + 3] = 'lost', '0', '0'
  elseif l.state == 'revoked' then
    reply[n + 1], reply[n + 2], reply[n + 3] = 'revoked', '0', '0'
  elseif stamp ~= '' and l.stamp ~= stamp and not take_over then
    reply[n + 1], reply[n + 2], reply[n + 3] = 'moved', '0', '0'
  else
    extend(s, l, ttl > 0 and ttl or l.ttl)
    if take_over and l.stamp ~= stamp then
      tell(s, l.stamp, 'moved', lease_id, '0', resource)
      l.stamp = stamp
    end
    redis.call('HSET', lock, lease_id, lease_text(l))
    local word = l.ceiling > 0 and l.deadline >= l.ceiling and 'final' or 'renewed'
    reply[n + 1], reply[n + 2], reply[n + 3] = word, l.token, remaining(s, l)
  end
end
-- The summary and the index are left as they are: their bounds are lower ones.
return reply
