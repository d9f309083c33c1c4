#!lua flags=allow-oom
-- Takes what an instance has told of attempts that these data may lack, before it answers the roll call.
--
-- * An attempt that is recorded lasts at least as long as its worker was told, and by what the lease clock left out at
--   the adoption longer, as every record here does: otherwise one that was told of a moment ago would be over after a
--   long gap. Its lease, if it has one, is put back with the others.
-- * Of any other one the record is not put back, for nobody remembers it. Only a bar is: until the attempt is over,
--   nobody starts its operation (barred_until in operating.lua). So too where a lease keeps others out: a shared one
--   doesn't.
--
-- The hash `bars` holds of each operation by its name "token deadline x": the largest token, the latest deadline, and
-- whether it is exclusive ('x' or '-'). And of each resource by its own name, and with a line feed behind it of its
-- exclusive operations alone, the two bars that last longest, a line each: "deadline operation_id". One of the two is
-- of another operation than the one that is asked for. (No name holds a control character but the TAB between its
-- parts.)
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance
--       4… of each attempt three: name, "claim token x" (x: as in a bar), left (of what its worker was told)
-- REPLY noted now clock
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, args = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local bars = state.bucket .. 'bars'
local untaken = tonumber(redis.call('HGET', meta, 'untaken'))

local function note_longest(field, id, deadline)
  local list = {}
  for until_, other in string.gmatch(redis.call('HGET', bars, field) or '', '(%d+) ([^\n]*)') do
    if other == id then
      deadline = math.max(deadline, tonumber(until_))
    else
      list[#list + 1] = { tonumber(until_), other }
    end
  end
  list[#list + 1] = { deadline, id }
  table.sort(list, function(a, b) return a[1] > b[1] end)
  local lines = {}
  for i = 1, math.min(#list, 2) do lines[i] = int(list[i][1]) .. ' ' .. list[i][2] end
  redis.call('HSET', bars, field, table.concat(lines, '\n'))
end

local function bar(name, token, deadline, exclusive)
  local known = redis.call('HGET', bars, name)
  if known then
    local its_token, its_deadline, its_exclusive = string.match(known, '^(%d+) (%d+) (.)$')
    deadline = math.max(deadline, tonumber(its_deadline))
    if tonumber(its_token) > tonumber(token) then token, exclusive = its_token, its_exclusive end
  end
  redis.call('HSET', bars, name, token .. ' ' .. int(deadline) .. ' ' .. exclusive)
  local resource, id = split_name(name)
  note_longest(resource, id, deadline)
  if exclusive == 'x' then note_longest(resource .. '\n', id, deadline) end
end

for i = 4, #args, 3 do
  local name, deadline = args[i], state.clock + tonumber(args[i + 2]) + SKEW
  local claim, token, exclusive = string.match(args[i + 1], '^(%S+) (%d+) (.)$')
  local op = read_operation(state, name)
  local is_its = op and op.claim == claim and op.token == token
  if is_its and op.state == 'running' then
    if not op.lock and deadline + untaken > op.deadline then
      op.deadline = deadline + untaken
      save_operation(state, name, op)
    end
  elseif not is_its or op.state == 'dead' then
    -- (One that a tick found dead may run all the same. Of any other end of this attempt these data know.)
    bar(name, token, deadline, exclusive)
  end
end
return { 'noted', state.time, int(state.clock) }
