#!lua flags=allow-oom
-- Removes the record of an operation that isn't running.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 skew            the skew allowance
--       4 name            "resource TAB operation_id"
--       5 version         0: whatever its version
-- REPLY deleted now | absent now | wrong-state now | version-mismatch now
--       late now | reign now
local meta, reign, not_after, skew, name, version = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local s, refusal = enter(meta, reign, not_after, skew)
if not s then return refusal end
advance(s)

local o = read_operation(s, name)
if not o then return { 'absent', s.time } end
if o.state == 'running' then return { 'wrong-state', s.time } end
if version > 0 and version ~= o.version then return { 'version-mismatch', s.time } end
remove_operation(s, name, o)
return { 'deleted', s.time }
