#!lua
-- Runs many commands in one call, one after the other, each as if it had come alone. What is the same for all is done
-- once: who may ask under which reign, Redis's time, and the lease clock. So all of them happen at the same moment.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME: that of the last command to be late
--       3 caller          the instance that asks; '-' without a roll call
--       4… of each command: name, not_after, how many arguments follow, and these: its own behind `caller`
-- REPLY one text, which is cheaper to send and to read than many: of each command a line, with tabs between its words.
--         (No word holds either: what people are told is JSON, and the rest has no free text.) It is what the command
--         replies alone, or
--       error now message    (it failed in the middle; the others stand)
--       late now | reign now | unregistered now    (a list: of all, and nothing was done)
local keys, words, meta, reign, latest, caller = KEYS, ARGV, KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local commands = {}
--BODIES
local state, refusal = enter(meta, reign, latest, caller)
if not state then return refusal end
advance(state)
state.is_batch = true

-- A command that comes too late is refused also beside others that don't.
local function enter_batch(_, _, not_after)
  if is_late(state.now, not_after) then return nil, { 'late', state.time } end
  return state
end

local function advanced() end

-- As Redis takes a list: up to the first nil, and what a hash lacks is null.
local function line_of(reply)
  local count = 0
  while reply[count + 1] ~= nil do
    count = count + 1
    reply[count] = reply[count] or 'null'
  end
  return table.concat(reply, '\t', 1, count)
end

local replies, i = {}, 4
while words[i] do
  local name, not_after, count = words[i], words[i + 1], tonumber(words[i + 2])
  local args = { reign, not_after, caller, unpack(words, i + 3, i + 2 + count) }
  local is_done, reply = pcall(commands[name], keys, args, enter_batch, advanced)
  if not is_done then
    local message = type(reply) == 'table' and reply.err or tostring(reply)
    reply = { 'error', state.time, (string.gsub(message, '%c', ' ')) }
  end
  replies[#replies + 1] = line_of(reply)
  i = i + 3 + count
end
-- Each token is larger than the one before it, so the last is the largest.
if state.has_granted then redis.call('HSET', meta, 'token', int(state.token)) end
return table.concat(replies, '\n')
