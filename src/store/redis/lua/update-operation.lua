#!lua
-- Writes data, progress and labels of a running operation for the worker that runs it. Counts as a sign of life.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 name            "resource TAB operation_id"
--       5 claim
--       6 token
--       7 version         0: whatever its version
--       8 data            '' to keep what is there, '-' to remove it
--       9 progress        the same
--      10 set_labels      JSON object
--      11 remove_labels   JSON array
--      12 request_id      '' for none
--      13 most_labels     entries
--      14 most_bytes      of all keys and values of the labels
-- REPLY changed now left operation...     (as in operation-views.lua)
--       not-found now | stale-attempt now | wrong-state now | version-mismatch now | labels-full now
--       quarantined now left                      (its lease may be put back, or it may get more time)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local claim, token, version, data, progress = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9]
local set_labels, remove_labels, request_id = ARGV[10], ARGV[11], ARGV[12]
local most_labels, most_bytes = tonumber(ARGV[13]), tonumber(ARGV[14])

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local op = read_operation(state, name, true)
if not op then return { 'not-found', state.time } end
local refused = refusal_of(state, name, op, claim, token)
if refused then return refused end
local resource = split_name(name)

local function changed()
  local reply = { 'changed', state.time, attempt_told(state, op, resource) }
  add_operation(state, reply, name, op, true)
  return reply
end

if is_repeat(op, 'update', request_id) then
  extend_attempt(state, op, resource)
  note_heartbeat(state, name, op)
  return changed()
end
if version > 0 and version ~= op.version then return { 'version-mismatch', state.time } end

local is_new = false
if set_labels ~= '{}' or remove_labels ~= '[]' then
  local before, labels, count, bytes = cjson.decode(op.labels), cjson.decode(op.labels), 0, 0
  for _, key in ipairs(cjson.decode(remove_labels)) do labels[key] = nil end
  for key, value in pairs(cjson.decode(set_labels)) do labels[key] = value end
  for key, value in pairs(labels) do count, bytes = count + 1, bytes + #key + #value end
  -- One that was removed and set again as it was is no change.
  for key, value in pairs(before) do is_new = is_new or labels[key] ~= value end
  for key, value in pairs(labels) do is_new = is_new or before[key] ~= value end
  if count > most_labels or bytes > most_bytes then return { 'labels-full', state.time } end
  if is_new then op.labels = cjson.encode(labels) end
end

local function write(field, text)
  if text == '' then return end
  if text == '-' then text = false end
  if op[field] == text then return end
  op[field], is_new = text, true
  if text then
    put_along(op, field, text)
  else
    redis.call('HDEL', operation_key(state, name), field)
  end
end
write('data', data)
write('progress', progress)
extend_attempt(state, op, resource)
remember_request(op, 'update', request_id)
if is_new then amend_operation(state, name, op) else note_heartbeat(state, name, op) end
return changed()
