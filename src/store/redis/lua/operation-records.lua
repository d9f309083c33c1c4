-- Operation records: stands before operating.lua. Owns the form of a record, how it is read and how it is written, but
-- neither its indices nor what it means.
--
-- An operation's name is "resource TAB operation_id"; neither holds a control character. Its record is the hash
-- operation:<name>. The first three fields are words with a tab after each but the last, in this order:
--   's', what was begun, written once:
--        type hash begun_by max heartbeat ttl exclusive keep_succeeded keep_failed keep_cancelled keep_dead lock
--   'r', what has become of it:
--        state version seq created updated started finished number counted token claim stamp deadline expires claimable
--        indexed cancel owner reason labels
--   'k', what is known of former calls, if there is something: requests claims (with a space after each but the last)
--   'data', 'progress', 'outcome': opaque texts, if there are any
-- Times and spans are microseconds. created, updated, started and finished are Redis's TIME, for people; deadline,
-- expires and claimable are on the lease clock, '0' for none. exclusive, indexed (it is in the index of what may be
-- claimed) and cancel are '1' or ''; lock ('' for none) and labels are JSON.

local SPEC = '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t' ..
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$'
local RUN = '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t' ..
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$'

local function split_name(name)
  return string.match(name, '^([^\t]*)\t(.*)$')
end

local function operation_key(state, name)
  return state.bucket .. 'operation:' .. name
end

local function is_open(op)
  return op.state == 'pending' or op.state == 'running'
end

-- The record that these texts make; 'k' and the payloads may be false or nil. `also` collects what the next write
-- stores beside 'r'. (One constructor has all fields: a table that grows costs more than all of this.)
local function record_of(spec, run, known, data, progress, outcome)
  local type_, hash, begun_by, max, heartbeat, ttl, exclusive, succeeded, failed, cancelled, dead, lock =
    string.match(spec, SPEC)
  local state, version, seq, created, updated, started, finished, number, counted, token, claim, stamp, deadline,
    expires, claimable, indexed, cancel, owner, reason, labels = string.match(run, RUN)
  local requests, claims = '', ''
  if known then requests, claims = string.match(known, '^([^\t]*)\t(.*)$') end
  return {
    spec = spec, type = type_, hash = hash, begun_by = begun_by, max = tonumber(max), heartbeat = tonumber(heartbeat),
    ttl = tonumber(ttl), exclusive = exclusive == '1', keep_succeeded = succeeded, keep_failed = failed,
    keep_cancelled = cancelled, keep_dead = dead, lock = lock ~= '' and cjson.decode(lock),
    run = run, state = state, version = tonumber(version), seq = seq, created = created, updated = updated,
    started = started, finished = finished, number = tonumber(number), counted = tonumber(counted), token = token,
    claim = claim, stamp = stamp, deadline = tonumber(deadline), expires = tonumber(expires),
    claimable = tonumber(claimable), indexed = indexed == '1', cancel = cancel == '1', owner = owner, reason = reason,
    labels = labels, requests = requests, claims = claims, data = data, progress = progress, outcome = outcome,
    has_payloads = data ~= nil, was_open = state == 'pending' or state == 'running', is_new = false, also = {},
  }
end

-- A record that is not written yet.
local function new_record(spec)
  local op = record_of(spec, '\t0\t\t\t\t\t\t0\t0\t0\t\t\t0\t0\t0\t\t\t\t\t', false, false, false, false)
  op.is_new = true
  return op
end

-- The record, nil for none. `with_payloads`: also its data, progress and outcome, false for none.
local function read_operation(state, name, with_payloads)
  local texts
  if with_payloads then
    texts = redis.call('HMGET', operation_key(state, name), 's', 'r', 'k', 'data', 'progress', 'outcome')
  else
    texts = redis.call('HMGET', operation_key(state, name), 's', 'r', 'k')
  end
  return texts[1] and record_of(unpack(texts)) or nil
end

-- Writes the record and no index.
local function write_operation(state, name, op)
  op.run = op.state .. '\t' .. int(op.version) .. '\t' .. op.seq .. '\t' .. op.created .. '\t' .. op.updated ..
    '\t' .. op.started .. '\t' .. op.finished .. '\t' .. int(op.number) .. '\t' .. int(op.counted) .. '\t' ..
    op.token .. '\t' .. op.claim .. '\t' .. op.stamp .. '\t' .. int(op.deadline) .. '\t' .. int(op.expires) .. '\t' ..
    int(op.claimable) .. '\t' .. (op.indexed and '1' or '') .. '\t' .. (op.cancel and '1' or '') .. '\t' ..
    op.owner .. '\t' .. op.reason .. '\t' .. op.labels
  redis.call('HSET', operation_key(state, name), 'r', op.run, unpack(op.also))
  op.also, op.is_new = {}, false
end

-- The next write of the record stores this too.
local function put_along(op, field, text)
  local n = #op.also
  op.also[n + 1], op.also[n + 2] = field, text
end

local function has_word(words, word)
  return string.find(' ' .. words .. ' ', ' ' .. word .. ' ', 1, true) ~= nil
end

-- The words and one more. If they are more than `most`, without the first, which is returned too.
local function add_word(words, word, most)
  if words == '' then return word end
  words = words .. ' ' .. word
  local _, spaces = string.gsub(words, ' ', ' ')
  if spaces < most then return words end
  local first, others = string.match(words, '^(%S+) (.*)$')
  return others, first
end

-- Whether this very request has been answered before.
local function is_repeat(op, verb, request_id)
  return request_id ~= '' and op.requests ~= '' and has_word(op.requests, verb .. ':' .. request_id)
end

local function remember_request(op, verb, request_id)
  if request_id == '' then return end
  op.requests = add_word(op.requests, verb .. ':' .. request_id, REMEMBERED_REQUESTS)
  put_along(op, 'k', op.requests .. '\t' .. op.claims)
end
