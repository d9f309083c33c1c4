#!lua flags=allow-oom
-- Removes the record of an operation that isn't running.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 name            "resource TAB operation_id"
--       5 version         0: whatever its version
-- REPLY deleted now | absent now | wrong-state now | version-mismatch now
--       late now | reign now | unregistered now
local meta, reign, not_after, caller, name, version = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end
advance(state)

local op = read_operation(state, name)
if not op then return { 'absent', state.time } end
if op.state == 'running' then return { 'wrong-state', state.time } end
if version > 0 and version ~= op.version then return { 'version-mismatch', state.time } end
remove_operation(state, name, op)
return { 'deleted', state.time }
