// Mutants that extend, end or give away leases when they should not.

import type { Mutant } from './mutant.ts';

const LUA = 'src/store/redis/lua';
const PRELUDE = `${LUA}/prelude.lua`;
const RENEW = `${LUA}/renew-locks.lua`;
const STREAMS = 'src/service/lease-streams.ts';
const LOST =
  "if not lease or lease.token ~= token or not renewable(state, lease) or lease.state == 'offer' then";

export const MUTANTS_OF_LEASES: readonly Mutant[] = [
  {
    name: 'deadlines-only-grow',
    letsThrough:
      'A repeat or renewal with a smaller TTL brings the deadline forward. Its holder believes in the answer ' +
      'that came before, and somebody else gets the resource while the holder works.',
    edits: [
      {
        file: PRELUDE,
        find: 'lease.deadline = math.max(lease.deadline, deadline)',
        replace: 'lease.deadline = deadline',
      },
    ],
  },
  {
    name: 'renewals-name-the-token',
    letsThrough:
      'A renewal names the lease_id alone. The lease lapsed and its call was repeated: the same lease_id has a ' +
      'new token, others held the lock in between, and the old holder goes on under the old one.',
    edits: [
      {
        file: RENEW,
        find: LOST,
        replace: "if not lease or not renewable(state, lease) or lease.state == 'offer' then",
      },
    ],
  },
  {
    name: 'lapsed-is-lapsed',
    letsThrough:
      'A lapsed lease that no tick has swept yet is renewed. An instance that looked at it just then has told ' +
      'others that the resource is free.',
    edits: [
      {
        file: RENEW,
        find: LOST,
        replace: "if not lease or lease.token ~= token or lease.state == 'offer' then",
      },
    ],
  },
  {
    name: 'call-stamps',
    letsThrough:
      'Any call speaks for a lease or a waiter. The stream of a holder moves to another instance; the former one ' +
      'renews, confirms or gives back what is no longer its own.',
    edits: [
      {
        file: RENEW,
        find: "elseif stamp ~= '' and lease.stamp ~= stamp and how ~= 'take' then",
        replace: 'elseif false then',
      },
      {
        file: `${LUA}/confirm-offer.lua`,
        find: 'if lease and lease.stamp ~= stamp then',
        replace: 'if false then',
      },
      {
        file: `${LUA}/leave-queue.lua`,
        find: 'if waiter and waiter.stamp == stamp then',
        replace: 'if waiter then',
      },
      {
        file: `${LUA}/leave-queue.lua`,
        find: "if lease and lease.stamp == stamp and (lease.state == 'offer' or give_back) then",
        replace: "if lease and (lease.state == 'offer' or give_back) then",
      },
      {
        file: `${LUA}/heartbeat-operations.lua`,
        find: "if not word and op.stamp ~= stamp and how ~= 'take' then",
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'gives-back-no-repeat',
    letsThrough:
      'An AcquireMany that fails gives back what it only repeated. A frozen server runs a first try late, and ' +
      'ends a lease that the second try has told its caller of.',
    edits: [
      {
        file: 'src/service/acquire-many.ts',
        find: 'filter(([, { isRepeat }]) => !isRepeat)',
        replace: 'filter(() => true)',
      },
    ],
  },
  {
    name: 'streams-end-nothing',
    letsThrough:
      'The end of a stream releases its leases. A proxy dies, the client believes in its lease until its deadline and ' +
      'opens the next stream, and meanwhile the resource is given to another.',
    edits: [
      {
        file: STREAMS,
        find: 'const cancel = (): void => finish(cancelled());',
        replace:
          'const cancel = (): void => {\n' +
          '        const bound = { deadlineMs: clock.monotonicMs() + 1_000 };\n' +
          '        for (const lease of leases) this.#options.store.release(lease, bound).catch(() => {});\n' +
          '        finish(cancelled());\n' +
          '      };',
      },
    ],
  },
  {
    name: 'deadline-from-before-the-call',
    letsThrough:
      'A client counts a deadline from the arrival of the answer. `renewed` waits 15 s in a proxy; when it arrives the ' +
      "lease has lapsed and is somebody else's, and its former holder believes in 15 s more.",
    edits: [
      {
        file: 'src/client/core/held-lease.ts',
        find: 'return this.#deadline.answered(sent, msOf(validFor) ?? 0);',
        replace:
          'const { clock } = this.#channel;\n' +
          '    const received = { sentAtMs: clock.monotonicMs(), sentAtWallMs: clock.wallMs() };\n' +
          '    return this.#deadline.answered(received, msOf(validFor) ?? 0);',
      },
    ],
  },
  {
    name: 'over-for-good',
    letsThrough:
      'An answer that arrives after the deadline revives the lease. Its holder has stopped, or says that it has, and ' +
      'somebody else may hold.',
    edits: [
      {
        file: 'src/client/core/lease-deadline.ts',
        find: 'if (this.#isOver || (!isFirst && this.remainingMs() === 0)) return this.#pass();',
        replace: 'void isFirst;',
      },
    ],
  },
  {
    name: 'kept-to-the-deadline',
    letsThrough:
      'A server tells a holder of a renewal although the deadline that it told before has passed, and the ' +
      'holder, if it has not stopped, works on with what somebody else may hold.',
    edits: [
      {
        file: 'src/service/renewal-wheel.ts',
        find:
          '    // Nothing that arrives after the deadline revives it: its holder has stopped.\n' +
          '    if (nowMs >= entry.deadlineMs) {',
        replace: '    if (false) {',
      },
      {
        file: 'src/service/renewal-wheel.ts',
        find: '        if (nowMs >= entry.deadlineMs) this.#lapse(entry, entry.isFinal);\n        else if',
        replace: '        if',
      },
    ],
  },
  {
    name: 'renews-no-longer-than-renew-for',
    letsThrough:
      'A stream renews after its renew_for. Its client has died behind a proxy that answers the pings of the server, ' +
      'and keeps the lock for as long as the proxy stands.',
    edits: [
      {
        file: 'src/service/renewal-wheel.ts',
        find: 'if (!entry.onlyLooks && nowMs >= entry.kept.renewUntilMs) {',
        replace: 'if (false) {',
      },
    ],
  },
  {
    name: 'no-late-renewal-after-renew-for',
    letsThrough:
      'A renewal that was sent before renew_for was over runs after it, on a primary that stood still. The lease of a ' +
      'dead client lives for longer than promised.',
    edits: [
      {
        file: 'src/service/renewal-wheel.ts',
        find: 'nowMs < kept.renewUntilMs ? Math.min(deadlineMs, kept.renewUntilMs) : deadlineMs;',
        replace: 'nowMs < kept.renewUntilMs ? deadlineMs : deadlineMs;',
      },
    ],
  },
  {
    name: 'a-look-changes-nothing',
    letsThrough:
      'A look of a stream whose renew_for is over renews what it looks at, or takes it over from a newer call.',
    edits: [
      { file: RENEW, find: "if how ~= 'look' then", replace: 'if true then' },
      { file: `${LUA}/heartbeat-operations.lua`, find: "if how == 'look' then", replace: 'if false then' },
    ],
  },
  ...(
    ['release-lock', 'renew-locks', 'confirm-offer', 'leave-queue', 'mark-commit', 'tick-clock'] as const
  ).map(
    (script): Mutant => ({
      name: `${script}-when-full`,
      letsThrough: `When Redis is full, ${script} is refused: nothing that is held can be kept or given back.`,
      edits: [{ file: `${LUA}/${script}.lua`, find: '#!lua flags=allow-oom\n', replace: '#!lua\n' }],
    }),
  ),
  {
    name: 'no-grant-when-full',
    letsThrough: 'When Redis is full, locks are granted all the same, and fill it further.',
    edits: [{ file: `${LUA}/acquire-lock.lua`, find: '#!lua\n', replace: '#!lua flags=allow-oom\n' }],
  },
];
