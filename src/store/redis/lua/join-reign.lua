#!lua flags=allow-oom
-- What an instance needs to know before its first tick under a reign: its own entry in the registry, which still tells
-- how old the data of this primary are, and which scripts these data know. (Ticked first, the entry would look fresh.)
--
-- KEYS  1 meta            the bucket's meta hash
-- ARGV  1 reign           the reign that the connection was confirmed for
--       2 not_after       do nothing later than this by Redis's TIME
--       3 caller          the instance
-- REPLY joined now clock epoch mono wall answered from_reign from_clock mark
--         mono, wall: when by its own clocks it last heard a majority name the primary, '-' for never, '' if it has no
--         entry; answered: the epoch whose roll call it last answered; from_reign, from_clock: the data know each
--         script that ran under that reign at a lease clock below that; mark: of the entry, '' without one
--       late now | reign now
local meta, reign, not_after, caller = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local state, refusal = enter(meta, reign, not_after, '-') -- it may have no entry yet
if not state then return refusal end
advance(state)

local entry = redis.call('HGET', state.bucket .. 'instances', caller)
local mono_ms, wall_ms, answered, mark = '', '', '', ''
if entry then
  local read = read_entry(entry)
  mono_ms, wall_ms, answered, mark = read.mono, read.wall, read.epoch, read.mark
end
local from = redis.call('HMGET', meta, 'from_reign', 'from_clock')
return { 'joined', state.time, int(state.clock), state.epoch, mono_ms, wall_ms, answered, from[1], from[2],
  mark }
