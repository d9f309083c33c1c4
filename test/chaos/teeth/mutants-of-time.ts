// Mutants that trust a clock when they should not, and those of tokens, which are made of time.

import type { Mutant } from './mutant.ts';

const PRELUDE = 'src/store/redis/lua/prelude.lua';
const ADOPT = 'src/store/redis/lua/adopt-reign.lua';
const LOCKING = 'src/store/redis/lua/locking.lua';
const RENEW = 'src/store/redis/lua/renew-locks.lua';
const ADVANCE = 'local clock = tonumber(recorded[2]) + math.min(math.max(now - last, 0), SKEW)';

export const MUTANTS_OF_TIME: readonly Mutant[] = [
  {
    name: 'not-after',
    letsThrough:
      'Late commands run. A primary that stood still runs what its socket buffers hold when it goes on: a ' +
      'renewal or a grant that its caller has heard nothing of, and has long given up.',
    edits: [
      { file: PRELUDE, find: 'return now > tonumber(not_after) end', replace: 'return false end' },
      { file: ADOPT, find: 'if now > not_after then', replace: 'if false then' },
    ],
  },
  {
    name: 'late-is-tried-again',
    letsThrough: 'No promise breaks, but a step of the system clock makes each instance fail a call.',
    edits: [
      {
        file: 'src/store/redis/command-lane.ts',
        find: 'return await this.#attempt(name, args, bound, note, true);',
        replace: 'throw unavailable("late");',
      },
    ],
  },
  {
    name: 'late-ages-confirmations',
    letsThrough:
      'After a command that was refused as late, what the Sentinels said before still counts. This machine was asleep: ' +
      'its monotonic clock stood still, and the answers that look fresh are old.',
    edits: [
      {
        file: 'src/store/redis/command-lane.ts',
        find: 'return Math.max(this.#options.clock.monotonicMs() - CONFIRMATION_WINDOW_MS, session.lateAtMs);',
        replace: 'void session;\n    return this.#options.clock.monotonicMs() - CONFIRMATION_WINDOW_MS;',
      },
    ],
  },
  {
    name: 'lease-clock',
    letsThrough:
      'Deadlines are compared with the system clock. A step of +60 s, or a promoted replica whose clock is ahead, ends ' +
      'leases that are held.',
    edits: [{ file: PRELUDE, find: ADVANCE, replace: 'local clock = now' }],
  },
  {
    name: 'clock-cap',
    letsThrough:
      'The lease clock follows every step forwards, not 2 s at most: a step of +60 s ends leases that are held.',
    edits: [
      {
        file: PRELUDE,
        find: ADVANCE,
        replace: 'local clock = tonumber(recorded[2]) + math.max(now - last, 0)',
      },
    ],
  },
  {
    name: 'clock-never-back',
    letsThrough:
      'The lease clock follows steps back: leases live longer than their holders were told, and nobody is granted ' +
      'what is free.',
    edits: [
      {
        file: PRELUDE,
        find: ADVANCE,
        replace: 'local clock = tonumber(recorded[2]) + math.min(now - last, SKEW)',
      },
    ],
  },
  {
    name: 'ticks',
    letsThrough:
      'Nobody advances the lease clock while there are no commands. It falls behind, and a lease outlives its holder ' +
      'until somebody has asked often enough.',
    edits: [
      {
        file: 'src/store/redis/primary-keeper.ts',
        find: 'void this.#tickUntilOver(session);',
        replace: 'void this.#tickUntilOver;',
      },
    ],
  },
  {
    name: 'deadline-carries-the-allowance',
    letsThrough:
      'A recorded deadline is clock + TTL, without the skew allowance. One step of the system clock forwards moves the ' +
      'lease clock by 2 s, and the resource is given away 2 s before its holder stops.',
    edits: [
      {
        file: PRELUDE,
        find: 'return state.clock + math.min(ttl, state.max_ttl) + SKEW',
        replace: 'return state.clock + math.min(ttl, state.max_ttl)',
      },
      {
        file: PRELUDE,
        find: 'return int(deadline - SKEW - state.clock)',
        replace: 'return int(deadline - state.clock)',
      },
      {
        file: PRELUDE,
        find: 'lease.ceiling = state.clock + max_hold + SKEW',
        replace: 'lease.ceiling = state.clock + max_hold',
      },
    ],
  },
  {
    name: 'nothing-outlives-a-quarantine',
    letsThrough:
      'An operation that was recorded before max_ttl became smaller is claimed for as long as it says: its attempt is ' +
      'forgotten by a failover, outlives the quarantine, and a second one begins beside it.',
    edits: [
      {
        file: PRELUDE,
        find: 'return state.clock + math.min(ttl, state.max_ttl) + SKEW',
        replace: 'return state.clock + ttl + SKEW',
      },
    ],
  },
  {
    name: 'no-key-ttl',
    letsThrough:
      "Locks end by their key's TTL, by Redis's own clock: a step of +60 s drops a lease of 30 s, and a replica whose " +
      'clock is 10 s ahead frees one of 8 s at its promotion.',
    edits: [
      {
        file: LOCKING,
        find: '  count_in(lock, lease)\n  lock.changed = true\n',
        replace:
          '  lock.expires_in = math.max(lease.ttl, OFFER_WINDOW) / 1000\n  count_in(lock, lease)\n  lock.changed = true\n',
      },
      {
        file: LOCKING,
        find: "      redis.call('HSET', lock.key, ':', summary, unpack(lock.added))\n",
        replace:
          "      redis.call('HSET', lock.key, ':', summary, unpack(lock.added))\n" +
          "      redis.call('PEXPIRE', lock.key, lock.expires_in)\n",
      },
      {
        file: 'src/store/redis/lua/acquire-lock.lua',
        find: '    look_again(state, resource, deadline)\n',
        replace: "    redis.call('PEXPIRE', key, ttl / 1000)\n    look_again(state, resource, deadline)\n",
      },
      {
        file: RENEW,
        find: "      redis.call('HSET', key, lease_id, lease_text(lease))\n",
        replace:
          "      redis.call('HSET', key, lease_id, lease_text(lease))\n    redis.call('PEXPIRE', key, (ttl > 0 and ttl or lease.ttl) / 1000)\n",
      },
      {
        file: 'src/store/redis/lua/confirm-offer.lua',
        find: "redis.call('HSET', lock.key, lease_id, text)\n",
        replace:
          "redis.call('HSET', lock.key, lease_id, text)\nredis.call('PEXPIRE', lock.key, ttl / 1000)\n",
      },
    ],
  },
  {
    name: 'time-in-tokens',
    letsThrough:
      'Tokens only count. A failover loses the last grants, and the next ones get the same tokens again: a late writer ' +
      'passes the check of the resource.',
    edits: [
      {
        file: PRELUDE,
        find: 'state.token = math.max(state.token + 1, state.now)',
        replace: 'state.token = state.token + 1',
      },
    ],
  },
  {
    name: 'count-in-tokens',
    letsThrough: 'Tokens are the time. It steps back, and later grants get smaller tokens.',
    edits: [
      {
        file: PRELUDE,
        find: 'state.token = math.max(state.token + 1, state.now)',
        replace: 'state.token = state.now',
      },
    ],
  },
  {
    name: 'whole-numbers',
    letsThrough:
      "Numbers are written by Lua's tostring, which keeps 14 digits of 16: two grants within 100 us get one token.",
    edits: [
      {
        file: PRELUDE,
        find: "string.format('%.0f', n)",
        replace: 'string.format("%.0f", tonumber(tostring(n)))',
      },
    ],
  },
];
