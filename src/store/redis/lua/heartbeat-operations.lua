#!lua flags=allow-oom
-- Takes signs of life of running attempts, many in one call, and renews their leases. It never revives a stale attempt:
-- somebody else may run its operation. A stream that opens takes its attempt over in the same way. One
-- whose renew_for is over only looks.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4… of each attempt: name, claim, token, stamp ("instance/call": only while this call speaks for it),
--         how (keep; take: this call speaks for it from now on, and the former one is told; look: it changes nothing;
--         with '+' behind it if the instance does not remember its lease)
-- REPLY beaten now {word number left canceled reason leased}...
--         word: renewed | final (its lease is at the end of its max_hold) | moved (a newer call speaks for it)
--           | expired | superseded | yielded | finished | lease-lost | unknown-attempt
--           | unknown (it runs and does not live, and a roll call may change that)
--         canceled: '1' when its cancellation was asked for; leased: '1' when it has a lease, otherwise '0', with 'x'
--         behind it if its operation is exclusive; left: then "left clock", and for a lease with '+' "left clock lease
--         about": what is recorded and what people are told
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local args = ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local function loss_of(op, name, claim, token)
  if not op then return 'unknown-attempt' end
  local is_its = op.claim == claim and op.token == token
  if op.state == 'pending' then return is_its and 'yielded' or 'superseded' end
  if op.state ~= 'running' then return is_its and 'finished' or 'superseded' end
  if not is_its then return 'superseded' end
  if living(state, op, name) then return nil end
  if may_live_again(state, op, name) then return 'unknown' end
  return op.lock and state.clock < op.deadline and 'lease-lost' or 'expired'
end

local reply = { 'beaten', state.time }
for i = 4, #args, 5 do
  local name, claim, token, stamp, how = args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4]
  local resource, asks_text = split_name(name), false
  if string.byte(how, -1) == 43 then how, asks_text = string.sub(how, 1, -2), true end -- '+'
  local op = read_operation(state, name)
  local word, number, left, canceled, reason = loss_of(op, name, claim, token), '0', '0', '0', ''
  if not word and op.stamp ~= stamp and how ~= 'take' then word = 'moved' end
  if not word then
    local at_end
    if how == 'look' then
      at_end = is_attempt_final(state, op, resource)
    else
      if op.stamp ~= stamp then tell_attempt(state, op, name, 'attempt-moved') end
      op.stamp = stamp
      at_end = extend_attempt(state, op, resource)
      note_heartbeat(state, name, op)
    end
    word = at_end and 'final' or 'renewed'
    number = int(op.number)
    if asks_text and op.lock then
      local about = redis.call('HGET', state.bucket .. 'lock:' .. resource, claim .. '?')
      left = attempt_left(state, op) .. ' ' .. attempt_lease(state, op, resource) .. ' ' .. (about or '[]')
    else
      left = attempt_left(state, op) .. ' ' .. int(state.clock)
    end
    if op.cancel then canceled, reason = '1', op.reason end
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = word, number, left, canceled, reason
  reply[n + 6] = op and (op.lock and '1' or '0') .. (op.exclusive and 'x' or '') or '0'
end
return reply
