// Mutants that forget what they told, put back less than that, or grant again after an early end what somebody holds.

import type { Mutant } from './mutant.ts';

const LUA = 'src/store/redis/lua';
const PRELUDE = `${LUA}/prelude.lua`;
const ADOPT = `${LUA}/adopt-reign.lua`;
const ANSWER = `${LUA}/answer-roll-call.lua`;
const LOCKING = `${LUA}/locking.lua`;
const ROLL_CALL = 'src/store/redis/roll-call.ts';
const MEMORY = 'src/store/redis/told-memory.ts';
const LOCK_STORE = 'src/store/redis/redis-lock-store.ts';
const TOLD_ANSWERS = 'src/store/redis/told-answers.ts';

export const MUTANTS_OF_TOLD_LEASES: readonly Mutant[] = [
  // What is put back
  {
    name: 'put-back',
    letsThrough:
      'Nothing is put back. All have answered, and the new primary grants what the old one granted last.',
    edits: [{ file: ANSWER, find: '      add_holder(lock, lease_id, lease, about)\n', replace: '' }],
  },
  {
    name: 'unknown-is-not-lost',
    letsThrough:
      'No promise breaks, but a holder whose stream has moved is told that its lease is lost, by an instance that has ' +
      'answered. The one that told of it puts it back a moment later, and nobody does the work.',
    edits: [
      {
        file: PRELUDE,
        find: 'return state.entry and in_quarantine(state)',
        replace: 'return false',
      },
    ],
  },
  {
    name: 'put-back-raises',
    letsThrough:
      'A lease that the data know keeps their deadline. Its last renewal was lost, and the record lapses while the ' +
      'holder believes.',
    edits: [
      {
        file: ANSWER,
        find: '  own.deadline = math.max(own.deadline, lease.deadline)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'put-back-before-answered',
    letsThrough:
      'An instance answers with the first batch and puts the rest back afterwards. The quarantine ends in between, and ' +
      'what is in the rest is granted.',
    edits: [
      {
        file: ROLL_CALL,
        find: 'const isComplete = isLast && ',
        replace: 'const isComplete = ',
      },
    ],
  },
  {
    name: 'known-below-the-cut',
    letsThrough:
      'What was told under the reign of the data counts as known. But they are a replica’s, and lack its last seconds.',
    edits: [
      {
        file: 'src/store/redis/told-cut.ts',
        find: '(reign === cut.fromReign && clockUs < cut.fromClockUs)',
        replace: '(reign === cut.fromReign && clockUs < Number.MAX_VALUE)',
      },
    ],
  },
  {
    name: 'min-hold-is-put-back',
    letsThrough: 'A min_hold that the data lack is over. Somebody else gets the resource within it.',
    edits: [{ file: ANSWER, find: 'if hold_left > 0 then', replace: 'if false then' }],
  },
  {
    name: 'min-hold-outlives-the-lease',
    letsThrough:
      'A lease that was released is forgotten with its min_hold. The failover loses both, and somebody else gets the ' +
      'resource within it.',
    edits: [
      {
        file: MEMORY,
        find: 'if (entry.holdMs <= this.#options.monotonicMs()) this.#forget(entry);',
        replace: 'this.#forget(entry);',
      },
    ],
  },
  {
    name: 'max-hold-is-put-back',
    letsThrough: 'A lease is put back without the end of its max_hold, and is renewed for ever.',
    edits: [
      {
        file: ANSWER,
        find: 'lease.ceiling = ceiling_left > 0 and state.clock + ceiling_left + SKEW or 0',
        replace: 'lease.ceiling = 0',
      },
    ],
  },
  {
    name: 'put-back-offers-are-leases',
    letsThrough:
      'An offer that was confirmed stays an offer where the data have it as one. Its holder was told, and renews in vain.',
    edits: [{ file: ANSWER, find: "  if own.state == 'offer' then", replace: '  if false then' }],
  },
  {
    name: 'put-back-is-not-freed',
    letsThrough:
      'Putting back makes a lease held again that an administrator took away: it is renewed, after its end was promised.',
    edits: [
      {
        file: ANSWER,
        find: '  own.deadline = math.max(own.deadline, lease.deadline)\n',
        replace: '  own.deadline = math.max(own.deadline, lease.deadline)\n  own.state = lease.state\n',
      },
    ],
  },
  {
    name: 'releases-are-repeated',
    letsThrough:
      'Only leases are put back. The release that was told last is lost, and its lease keeps the resource taken until ' +
      'its deadline, long after the quarantine has ended early.',
    edits: [{ file: ROLL_CALL, find: 'of this.endings.unknownTo(cut)', replace: 'of []' }],
  },
  {
    name: 'releases-name-the-token',
    letsThrough:
      'A release that is repeated takes away each lease of its id. One that was granted to the same lease_id after that ' +
      'release goes too, while its holder believes.',
    edits: [{ file: ANSWER, find: 'if own and own.token == released then', replace: 'if own then' }],
  },
  {
    name: 'released-is-not-put-back',
    letsThrough:
      'An instance that answers last puts back what was released through another one, which it was not told of. The ' +
      'resource is taken until the deadline.',
    edits: [
      {
        file: ANSWER,
        find: "if in_quarantine(state) then redis.call('HSET'",
        replace: "if false then redis.call('HSET'",
      },
    ],
  },
  {
    name: 'mixed-modes-admit-nobody',
    letsThrough:
      'Leases that don’t go together admit as if only the last one were there. Beside an exclusive lease and a shared ' +
      'one that was put back, a third gets a shared one.',
    edits: [
      {
        file: LOCKING,
        find: "lock.mode = (lock.count == 0 or lock.mode == kind) and kind or 'mixed'",
        replace: 'lock.mode = kind',
      },
    ],
  },
  {
    name: 'put-back-permits-count',
    letsThrough: 'Permits that are put back don’t count. Others are granted beside them, above the limit.',
    edits: [
      {
        file: ANSWER,
        find: '      add_holder(lock, lease_id, lease, about)\n',
        replace:
          '      add_holder(lock, lease_id, lease, about)\n      lock.permits = lock.permits - (permits_of(lease.mode) or 0)\n',
      },
    ],
  },
  {
    name: 'answers-raise-the-token',
    letsThrough:
      'The token counts on from what the data know. A token that was told before is given again, or a smaller one.',
    edits: [{ file: ANSWER, find: 'if seen_token > state.token then', replace: 'if false then' }],
  },
  {
    name: 'seen-tokens-count',
    letsThrough:
      'Neither an adoption nor an answer raises the token. A failover loses the last grants while all clocks step back, ' +
      'a roll call ends the quarantine, and the next tokens are smaller than those that are out.',
    edits: [
      {
        file: 'src/store/redis/reign.ts',
        find: 'if (token > this.#seenToken) this.#seenToken = token;',
        replace: 'void token;',
      },
      { file: MEMORY, find: 'if (token > this.#largestToken) this.#largestToken = token;', replace: '' },
    ],
  },
  // Told memory
  {
    name: 'grants-are-noted',
    letsThrough:
      'Only renewals are noted. A failover loses the grants of the last seconds, whose instances live.',
    edits: [
      {
        file: LOCK_STORE,
        find: "await this.#run('acquire-lock', acquireArguments(command, about), bound, note);",
        replace: "await this.#run('acquire-lock', acquireArguments(command, about), bound);\n    void note;",
      },
    ],
  },
  {
    name: 'renewals-are-noted',
    letsThrough:
      'Only grants are noted. A holder moved to an instance that renews for it; the other one is gone, and nobody puts ' +
      'the lease back.',
    edits: [
      {
        file: LOCK_STORE,
        find: "await this.#run('renew-locks', args, bound, told?.note);",
        replace: "await this.#run('renew-locks', args, bound);\n    void told?.note;",
      },
    ],
  },
  {
    name: 'offers-are-noted',
    letsThrough: 'Confirmed offers are not noted. A failover loses the lease that a waiter was told of.',
    edits: [
      {
        file: LOCK_STORE,
        find: "await this.#run('confirm-offer', confirmArguments(command), bound, note);",
        replace: "await this.#run('confirm-offer', confirmArguments(command), bound);\n    void note;",
      },
    ],
  },
  {
    name: 'attempts-are-noted',
    letsThrough:
      'The lease of an attempt is not noted. A failover loses it, and its resource is granted to another.',
    edits: [
      {
        file: TOLD_ANSWERS,
        find: "if (!lock || text === '') return;",
        replace: 'if (!lock || text.length >= 0) return;',
      },
      {
        file: TOLD_ANSWERS,
        find: "if (about === '') continue;",
        replace: 'if (about.length >= 0) continue;',
      },
    ],
  },
  {
    name: 'told-is-merged',
    letsThrough:
      'An answer that comes late replaces what a newer one said. A renewal overtakes the grant, whose deadline is put ' +
      'back, and the record lapses while the holder believes.',
    edits: [
      {
        file: MEMORY,
        find: 'if (told.deadlineMs > entry.deadlineMs) entry.deadlineMs = told.deadlineMs;',
        replace: 'entry.deadlineMs = told.deadlineMs;',
      },
    ],
  },
  {
    name: 'lost-is-remembered',
    letsThrough:
      'An instance forgets a lease when it answers that it is lost. That answer is lost too, and its holder goes on; ' +
      'the next primary lacks the lease, nobody puts it back, and its resource is granted to another.',
    edits: [
      {
        file: TOLD_ANSWERS,
        find: "      } else if (word === 'revoked') {\n",
        replace:
          "      } else if (word === 'lost') {\n        const [leaseId = '', ...resource] = lease.key.split(' ');\n" +
          "        this.#told.ended(resource.join(' '), leaseId, lease.token);\n      } else if (word === 'revoked') {\n",
      },
    ],
  },
  {
    name: 'earlier-leases-are-overtaken',
    letsThrough:
      'Of two leases that do not go together, one of which a roll call put back, the earlier one is renewed too. Its ' +
      'holder asks for it late, and two hold.',
    edits: [
      {
        file: 'src/store/redis/lua/prelude.lua',
        find: '  if lease.epoch == OVERTAKEN then return false end\n',
        replace: '',
      },
    ],
  },
  {
    name: 'lease-outlives-its-attempt',
    letsThrough:
      'A heartbeat after the result makes an instance forget the lease that the result kept. A failover loses it, and ' +
      'its resource is granted to another.',
    edits: [
      {
        file: TOLD_ANSWERS,
        find: "      } else if (attempt && (word === 'finished' || word === 'yielded')) {\n",
        replace:
          '      } else if (lease) {\n        this.#told.ended(command.resource, command.claimId, lease.token);\n' +
          "      } else if (attempt && (word === 'finished' || word === 'yielded')) {\n",
      },
    ],
  },
  {
    name: 'ended-under-its-reign',
    letsThrough:
      'What has ended here is over for good. A primary that lacks the release lets the holder renew, and the next one ' +
      'forgets that.',
    edits: [
      {
        file: MEMORY,
        find: 'return isOver && overUnder !== reign;',
        replace: 'return isOver && overUnder !== reign && false;',
      },
    ],
  },
  {
    name: 'beyond-the-bound-is-incomplete',
    letsThrough:
      'An instance that told more than it remembers answers as if that were all. What it dropped is granted again.',
    edits: [
      {
        file: MEMORY,
        find: 'return this.#dropped.untilMs <= this.#options.monotonicMs() || knows(cut, this.#dropped);',
        replace: 'void cut;\n    return true;',
      },
    ],
  },
  // After an early end
  {
    name: 'lapsed-blocks',
    letsThrough:
      'An inherited lease that nothing renews any more is free. By the clock of another node its holder counts on it ' +
      'still, and after an early end the resource is granted at once.',
    edits: [
      {
        file: PRELUDE,
        find: 'local function blocks(state, lease)\n  return lease.deadline > state.clock\n',
        replace:
          'local function blocks(state, lease)\n  return lease.deadline > state.clock and\n' +
          '    not (lease.deadline < state.lapsed_before and lease.epoch ~= state.epoch)\n',
      },
    ],
  },
  {
    name: 'lapsed-only-inherited',
    letsThrough:
      'No promise breaks, but a short lease that was granted after an early end is over at once: the rule for inherited ' +
      'ones takes it.',
    edits: [
      {
        file: PRELUDE,
        find: 'if not blocks(state, lease) or not is_inherited(state, lease) then return blocks(state, lease) end',
        replace: 'if not blocks(state, lease) then return false end',
      },
    ],
  },
  {
    name: 'no-repeat-before-the-full-end',
    letsThrough:
      'An inherited grant is repeated after an early end. The last grant of A was told to nobody; B granted the ' +
      'resource; A is chosen again, and the first caller repeats its call.',
    edits: [
      {
        file: PRELUDE,
        find: 'local is_unproved = is_inherited(state, lease) and in_full_quarantine(state)',
        replace: 'local is_unproved = false',
      },
    ],
  },
  {
    name: 'one-lease-of-an-id',
    letsThrough:
      'A call whose inherited lease can’t be repeated yet gets a second one, where its mode admits that. The new token ' +
      'overwrites the lease that somebody holds.',
    edits: [
      {
        file: `${LUA}/acquire-lock.lua`,
        find: 'if not waiter and not own and not in_quarantine(state)',
        replace: 'if not waiter and not in_quarantine(state)',
      },
    ],
  },
  {
    name: 'told-here-is-known-here',
    letsThrough:
      'An instance that joins a reign again puts back what it told under that very reign. One of the leases was released ' +
      'elsewhere since, and its resource granted again.',
    edits: [
      {
        file: 'src/store/redis/roll-call.ts',
        find: 'ownReign: session.reign },',
        replace: "ownReign: '' },",
      },
    ],
  },
  {
    name: 'told-order-is-kept',
    letsThrough:
      'A lease is put back with the clock of the last answer. Of two instances that had a stream one after the other, ' +
      'the former one answers later, and the stream that speaks for the lease hears that it has moved.',
    edits: [
      {
        file: 'src/store/redis/roll-call-batch.ts',
        find: 'toldReign, toldClockUs } = lease;',
        replace: 'reign: toldReign, clockUs: toldClockUs } = lease;',
      },
    ],
  },
  {
    name: 'later-record-of-an-id-stays',
    letsThrough:
      'A told lease takes the place of every record of its id. The id was used again after a release, and the lease that ' +
      'somebody holds gives way to the one that is over.',
    edits: [
      {
        file: `${LUA}/answer-roll-call.lua`,
        find: 'elseif not own or replaces(own, lease, tonumber(config_epoch)) then',
        replace: 'else',
      },
    ],
  },
  {
    name: 'larger-token-is-the-last',
    letsThrough:
      'The token of a renewal that was told to nobody is valid beside a later one, which another primary granted after ' +
      'the former was over, and which a roll call put back.',
    edits: [
      {
        file: `${LUA}/check-fencing-token.lua`,
        find: "own.mode == 'exclusive' and largest > tonumber(token)",
        replace: 'largest < 0',
      },
    ],
  },
  {
    name: 'tokens-wait-for-the-roll-call',
    letsThrough:
      'A recorded token is valid at once after an adoption, although another primary may have ruled in between and granted ' +
      'the lock, which no roll call has told of yet.',
    edits: [
      {
        file: `${LUA}/check-fencing-token.lua`,
        find: "if is_unsure and redis.call('HGET', meta, 'sure') ~= '1' then",
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'barred-stays-barred',
    letsThrough:
      'A second adoption, seconds after the first, bars less than that one did. A lease whose resource an isolated primary ' +
      'has granted since is renewed after all.',
    edits: [
      {
        file: PRELUDE,
        find: 'math.max(state.lapsed_before, state.lapsed_older)',
        replace: 'state.lapsed_before',
      },
    ],
  },
  {
    name: 'put-back-gets-what-the-clock-left',
    letsThrough:
      'A put-back lease lacks the time that the lease clock left out at the adoption. After some seconds without a ' +
      'primary it is barred at once, and its holder, who was just told of it, loses it.',
    edits: [
      {
        file: ANSWER,
        find: 'state.clock + left + SKEW + tonumber(from[4])',
        replace: 'state.clock + left + SKEW',
      },
    ],
  },
  {
    name: 'renewed-is-not-revoked',
    letsThrough:
      'No promise breaks, but a lease whose revocation a failover lost, and which its holder renewed since, is put back as ' +
      'revoked: the next failover takes it away.',
    edits: [
      {
        file: TOLD_ANSWERS,
        find: 'takesOver === true || isRevoked(known.text)',
        replace: 'takesOver === true || (isRevoked(known.text) && false)',
      },
    ],
  },
  // The lease clock
  {
    name: 'clock-gives-back',
    letsThrough:
      'A TIME that steps back is taken as it is, and its way forward counts a second time: the lease clock runs ahead by ' +
      'more than a deadline carries.',
    edits: [
      { file: PRELUDE, find: 'last = math.max(now, math.min(last, now + SKEW)),', replace: 'last = now,' },
    ],
  },
  {
    name: 'adoption-clock-cap',
    letsThrough:
      'An adoption advances the lease clock by all that TIME moved. All clocks step during the failover: every record ' +
      'lapses at once, and what the data know is not put back.',
    edits: [
      { file: ADOPT, find: 'clock = from_clock + math.min(gap, SKEW)', replace: 'clock = from_clock + gap' },
    ],
  },
];
