#!lua flags=allow-oom
-- Revokes leases of a resource, all or the one with a token, for an administrator. A holder relies on its lease until
-- the deadline that it was told. So the lease stays 'revoked' until then, unless `immediate`: it takes the resource,
-- but nothing renews it. An offer ends at once in any case: nobody was told of it.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 resource
--       5 token           '': all leases
--       6 immediate       '1': remove them, and end the min_hold if no lease is left
-- REPLY forced now count free_in held     (free_in: until all leases, the min_hold and the quarantine are over. held:
--         "age age..." of the leases that this call took from their holders)
--       late now | reign now | unregistered now
local meta = KEYS[1]
local reign, not_after, caller, resource, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local immediate = ARGV[6] == '1'

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local lock = open_lock(state, resource)
drop_lapsed(state, lock)
local named, count, last_deadline, held = token == '', 0, 0, {}
local flat = redis.call('HGETALL', lock.key)
for i = 1, #flat, 2 do
  local lease_id = flat[i]
  local lease = is_lease(lease_id) and read_lease(flat[i + 1])
  if lease and (token == '' or lease.token == token) then
    named = true
    -- Its holder's repeat, which waits for the end of a quarantine to get this very lease.
    local waiter = find_waiter(lock, lease_id)
    if waiter then
      tell(state, waiter.stamp, 'revoked', lease_id, '0', resource)
      forget_waiter(state, lock, lease_id)
    end
    if lease.state == 'held' and not is_over(state, lease) then
      held[#held + 1] = int(since_grant(state, lease.acquired))
    end
    if immediate or lease.state ~= 'revoked' then
      count = count + 1
      -- Nobody listens for a unary call that holds; one that has an offer still waits.
      if lease.state == 'offer' or is_of_stream(lease.stamp) then
        tell(state, lease.stamp, 'revoked', lease_id, '0', resource)
      end
    end
    if immediate or lease.state == 'offer' then
      remove_holder(state, lock, lease_id, lease)
      lease = nil
    elseif lease.state == 'held' then
      lease.state = 'revoked'
      lock.changed = true
      redis.call('HSET', lock.key, lease_id, lease_text(lease))
    end
  end
  if lease then last_deadline = math.max(last_deadline, lease.deadline) end
end
-- A token that names nothing is that of a repeated call, and the min_hold may be a later holder's.
if immediate and named and lock.count == 0 and lock.taken_until > 0 then
  lock.taken_until = 0
  redis.call('HDEL', lock.key, ':?') -- or the min_hold of the next holder would bring them back
end
local free_in = math.max(last_deadline, lock.taken_until, state.quarantine_until) - state.clock
settle(state, lock)
return { 'forced', state.time, int(count), int(math.max(free_in, 0)), table.concat(held, ' ') }
