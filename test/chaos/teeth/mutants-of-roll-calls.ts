// Mutants that end a quarantine early when they should not: not all have answered, the data are too old, or somebody
// is missing in the registry.

import type { Mutant } from './mutant.ts';

const LUA = 'src/store/redis/lua';
const PRELUDE = `${LUA}/prelude.lua`;
const ADOPT = `${LUA}/adopt-reign.lua`;
const ANSWER = `${LUA}/answer-roll-call.lua`;
const TICK = `${LUA}/tick-clock.lua`;
const ROLL_CALL = 'src/store/redis/roll-call.ts';
const ENDS_EARLY = 'if complete and owing == 0 and has_fresh and opens < state.quarantine_until then';

export const MUTANTS_OF_ROLL_CALLS: readonly Mutant[] = [
  // The early end
  {
    name: 'everyone-answers',
    letsThrough:
      'A quarantine ends before the last instance has answered. That one told a grant that the new primary lacks, and ' +
      'its resource is granted to somebody else.',
    edits: [
      {
        file: ANSWER,
        find: ENDS_EARLY,
        replace: 'if complete and has_fresh and opens < state.quarantine_until then',
      },
    ],
  },
  {
    name: 'one-answer-is-fresh',
    letsThrough:
      'A quarantine ends although the data are old. An instance was cut off for 20 s; another one came to the primary ' +
      'and granted; a replica that lags as much is promoted, whose registry knows only the first.',
    edits: [
      {
        file: ANSWER,
        find: ENDS_EARLY,
        replace: 'if complete and owing == 0 and opens < state.quarantine_until then',
      },
    ],
  },
  {
    name: 'fresh-by-its-age',
    letsThrough:
      'An answer counts as fresh however old the own entry is. The registry of data that are a minute old lacks who has ' +
      'come since, and nobody waits for that one.',
    edits: [
      {
        file: ROLL_CALL,
        find: 'isFresh: !isNew && ageMs <= freshWithinMs(maxTtlMs),',
        replace: 'isFresh: !isNew,',
      },
      {
        file: ROLL_CALL,
        find: 'import { awayAtMostMs, freshWithinMs, newcomerWaitMs, SKEW_ALLOWANCE_MS }',
        replace: 'import { awayAtMostMs, newcomerWaitMs, SKEW_ALLOWANCE_MS }',
      },
    ],
  },
  {
    name: 'asked-and-not-ticked',
    letsThrough:
      'The entry says when its instance ticked, whether a majority named the primary then or not. An isolated primary ' +
      'is ticked for 20 s, is chosen again, and its registry looks a second old.',
    edits: [
      {
        file: ROLL_CALL,
        find: "    if (!asked) return ['', ''];",
        replace:
          '    if (!asked) return [Math.floor(machineMs()).toString(), Math.floor(clock.wallMs()).toString()];',
      },
    ],
  },
  {
    name: 'joins-before-it-ticks',
    letsThrough:
      'An instance ticks before it reads its entry. The entry is then a moment old, and so seem the data, however old ' +
      'they are.',
    edits: [
      {
        file: ROLL_CALL,
        find: 'const ageMs = isKnown ? this.#ageOf(mono, wall) : Number.POSITIVE_INFINITY;',
        replace: 'void [this.#ageOf, mono, wall];\n    const ageMs = isKnown ? 0 : Number.POSITIVE_INFINITY;',
      },
    ],
  },
  {
    name: 'quarantine-found-lasts',
    letsThrough:
      'A second failover forgets the quarantine that it found. The first primary was an hour behind, and an instance ' +
      'ticked there; its entry is fresh for the second, which lacks what the first one lacked.',
    edits: [
      {
        file: ANSWER,
        find: 'local opens = math.max(state.clock, tonumber(from[3]))',
        replace: 'local opens = state.clock',
      },
    ],
  },
  {
    name: 'first-start-is-young',
    letsThrough:
      'A quarantine may end early although newcomers told at once a moment before, where the registry began. The replica ' +
      'that is promoted lacks one of them, and what it told.',
    edits: [
      { file: ADOPT, find: 'if from_clock < warm_until then floor = quarantine_until end', replace: '' },
    ],
  },
  // The registry
  {
    name: 'newcomers-wait',
    letsThrough:
      'An instance tells at once when it has registered. It grants and dies; the promoted replica lacks its last two ' +
      'seconds, and nobody waits for its answer.',
    edits: [
      {
        file: ROLL_CALL,
        find: "this.#standing.registered(isAlone === '1' ? 0 : waitMs);",
        replace: 'void isAlone;\n    this.#standing.registered(0);',
      },
    ],
  },
  {
    name: 'away-is-new',
    letsThrough:
      'An instance goes on as before, however long it was away. It was dropped from the registry; a lagging replica that ' +
      'still knows it rules for two seconds, in which it renews; then one rules that doesn’t.',
    edits: [
      {
        file: ROLL_CALL,
        find: 'const isNew = !isKnown || (!isHome && ageMs > awayAtMostMs(maxTtlMs));',
        replace: 'const isNew = !isKnown;',
      },
    ],
  },
  {
    name: 'alone-after-the-full-end',
    letsThrough:
      'An instance that finds an empty registry tells at once. The data are of long ago: others are registered, and hold, ' +
      'where it ruled since.',
    edits: [
      {
        file: `${LUA}/register-instance.lua`,
        find: 'local is_alone = others == 0 and state.clock >= over',
        replace: 'local is_alone = others == 0',
      },
    ],
  },
  {
    name: 'entries-are-kept',
    letsThrough:
      'An instance that ticks no more is dropped after 3 s. It was cut off for a moment, and what it told is forgotten ' +
      'by a failover that waits for nobody.',
    edits: [
      {
        file: TICK,
        find: 'if state.clock - read_entry(some[i + 1]).seen > kept then',
        replace: 'if state.clock - read_entry(some[i + 1]).seen > math.min(kept, 3000000) then',
      },
    ],
  },
  {
    name: 'owing-entries-are-kept',
    letsThrough:
      'Entries are dropped in a quarantine too. The one that has not answered is forgotten, the others have answered, ' +
      'and the quarantine ends without what it told.',
    edits: [
      {
        file: TICK,
        find: 'if not in_quarantine(state) then\n  local some',
        replace: 'if true then\n  local some',
      },
    ],
  },
  {
    name: 'registered-callers-only',
    letsThrough:
      'Scripts don’t ask whether their caller is in the registry. An instance is frozen until it is dropped, thaws and ' +
      'renews; the promoted replica waits for nobody of that name.',
    edits: [
      {
        file: PRELUDE,
        find: "if caller ~= '-' and not entry then return nil, { 'unregistered', int(now) } end",
        replace: '',
      },
    ],
  },
  {
    name: 'owing-stays-registered',
    letsThrough:
      'An instance that owes an answer may leave. What it told is lacking in the data, and nobody puts it back.',
    edits: [
      {
        file: `${LUA}/leave-registry.lua`,
        find: "if read_entry(state.entry).epoch == state.epoch then redis.call('HDEL', state.bucket .. 'instances', caller) end",
        replace: "redis.call('HDEL', state.bucket .. 'instances', caller)",
      },
    ],
  },
  {
    name: 'one-reign-is-told-of',
    letsThrough:
      'What came under the former reign is told after the next one was joined. A grant waits for the replicas meanwhile; ' +
      'the answer to the roll call doesn’t have it, and its resource is granted again.',
    edits: [
      { file: ROLL_CALL, find: '      this.#memberships.get(session) === this.#home &&\n', replace: '' },
      {
        file: ROLL_CALL,
        find: '  mayTell(session: Session, askedAtMs',
        replace: '  mayTell(_session: Session, askedAtMs',
      },
    ],
  },
];
