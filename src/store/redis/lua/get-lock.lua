#!lua flags=no-writes
-- Shows who holds each of some resources and who waits for it now. Writes nothing, and reads the clock as a mutating
-- script would advance it.
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance that asks; '-' without a roll call
--       4 most            waiters and holders listed of each, at most
--       5 most_sorted     of more holders than this, some are listed and not the oldest
--       6… resources
-- REPLY locks now {view}...      (see lock-views.lua)
--       late now | reign now | unregistered now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local most, most_sorted = tonumber(ARGV[4]), tonumber(ARGV[5])
local args = ARGV

local state, refusal = enter(meta, reign, not_after, caller)
if not state then return refusal end

local reply = { 'locks', state.time }
for i = 6, #args do add_view(state, look_at(state, args[i]), reply, most, most_sorted) end
return reply
