// Mutants that do not notice a new reign, or begin it wrongly.

import type { Mutant } from './mutant.ts';

const ADOPT = 'src/store/redis/lua/adopt-reign.lua';
const ACQUIRE = 'src/store/redis/lua/acquire-lock.lua';
const CONFIRM = 'src/store/redis/lua/confirm-offer.lua';
const BEGIN = 'src/store/redis/lua/begin-operation.lua';
const CLAIM = 'src/store/redis/lua/claim-operations.lua';
const LOCKING = 'src/store/redis/lua/locking.lua';
const PRELUDE = 'src/store/redis/lua/prelude.lua';
const KEEPER = 'src/store/redis/primary-keeper.ts';
const TICK = 'src/store/redis/lua/tick-clock.lua';
const REIGN = 'src/store/redis/reign.ts';
const REGISTER = 'src/store/redis/lua/register-instance.lua';
const STANDING = 'src/store/redis/standing.ts';
const INFO = 'src/store/redis/info.ts';

export const MUTANTS_OF_REIGNS: readonly Mutant[] = [
  {
    name: 'reign-check',
    letsThrough:
      'Scripts run under any recorded reign. A replica that lacks the last grants is promoted, and an instance ' +
      'whose connection outlives that, or that reaches it first, grants what the old primary granted.',
    edits: [{ file: PRELUDE, find: 'if recorded[1] ~= reign then', replace: 'if not recorded[1] then' }],
  },
  {
    name: 'epochs-that-restart',
    letsThrough:
      'Config epochs are taken to grow for ever. A ruled under epoch 0, B under 1, and the Sentinels are told to ' +
      'forget the primary and to watch A: the reign that its data hold has the name of before, and is gone on ' +
      'with. What B granted is granted again.',
    edits: [
      {
        file: REIGN,
        find: "Number(agreed.configEpoch) < this.#configEpoch ? 'again' : ''",
        replace: "''",
      },
    ],
  },
  {
    name: 'one-process-per-entry',
    letsThrough:
      "A tick looks at nothing but the instance's id. A machine that runs on beside its copy shares one with it: " +
      'one of the two answers the roll call, the other has granted, and the resource is granted again.',
    edits: [
      {
        file: TICK,
        find: 'if not is_own then',
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'quarantine',
    letsThrough:
      'A new reign grants at once. The primary dies before a grant was replicated, and its resource is given to ' +
      'somebody else while the first holder still holds.',
    edits: [
      {
        file: ADOPT,
        find: 'quarantine_until = math.max(quarantine_until, clock + quarantine)',
        replace: 'quarantine_until = quarantine_until',
      },
    ],
  },
  {
    name: 'quarantine-kept-whole',
    letsThrough:
      'An adoption may shorten the quarantine of the one before: the operator lowers max_ttl, or waives it on one ' +
      'instance, and a second failover ends the wait for leases that the first one forgot.',
    edits: [
      {
        file: ADOPT,
        find: 'quarantine_until = math.max(quarantine_until, clock + quarantine)',
        replace: 'quarantine_until = clock + quarantine',
      },
    ],
  },
  {
    name: 'no-repeat-in-quarantine',
    letsThrough:
      'The repeat of a recorded grant is answered in the quarantine. The old primary had recorded it, never ' +
      'confirmed it, saw it lapse and granted the resource to another. The new primary has never heard of that ' +
      'grant.',
    edits: [
      {
        file: ACQUIRE,
        find: 'local may_have = own and may_tell(state, own)',
        replace: "local may_have = own and renewable(state, own) and own.state ~= 'revoked'",
      },
    ],
  },
  {
    name: 'release-frees-at-the-end',
    letsThrough:
      'What is released in the quarantine is handed over at once, although a lease that was forgotten may stand in ' +
      'the way: of permits or shared leases there were others.',
    edits: [
      {
        file: LOCKING,
        find: 'local may_grant = not in_quarantine(state) and state.clock >= lock.taken_until',
        replace: 'local may_grant = state.clock >= lock.taken_until',
      },
    ],
  },
  {
    name: 'no-confirm-in-quarantine',
    letsThrough:
      'A confirmation is answered in the quarantine. The old primary had recorded it and never confirmed it itself, ' +
      'saw the lease lapse and granted the next in line, and both hold.',
    edits: [
      {
        file: CONFIRM,
        find: 'if not lease or not may_tell(state, lease) then',
        replace: 'if not lease or not renewable(state, lease) then',
      },
    ],
  },
  {
    name: 'no-begin-in-quarantine',
    letsThrough:
      'Begin starts an attempt in the quarantine. The failover lost the record of the first Begin, whose worker goes ' +
      'on, and a second one does the same work.',
    edits: [
      {
        file: BEGIN,
        find: "if in_quarantine(state) and (claim ~= '' or asked.exclusive or asked.lock) then",
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'no-claim-in-quarantine',
    letsThrough:
      'Operations are claimed in the quarantine. The claim of another worker was lost with the old primary, and two ' +
      'run one operation.',
    edits: [{ file: CLAIM, find: 'if in_quarantine(state) then', replace: 'if false then' }],
  },
  {
    name: 'lapsed-before',
    letsThrough:
      'A lease that was inherited shortly before its deadline is renewed. An isolated primary, whose clock is ahead, ' +
      'saw it lapse and granted the resource before its last answer was confirmed.',
    edits: [
      { file: ADOPT, find: 'lapsed_before = from_clock + gap + lapsed_after', replace: 'lapsed_before = 0' },
    ],
  },
  {
    name: 'replid-in-the-reign',
    letsThrough:
      'The reign is the run_id. A primary is demoted and promoted again without a restart; meanwhile another granted, ' +
      'and nobody begins a quarantine because the name of the reign is the old one.',
    edits: [
      { file: INFO, find: "fields.get('master_replid')", replace: "fields.get('run_id')" },
      {
        file: ADOPT,
        find: "local reign = config_epoch .. ':' .. string.match(info, 'master_replid:(%x+)')",
        replace: "local reign = '0:' .. string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')",
      },
      ...withoutTheEpoch(),
    ],
  },
  {
    name: 'epoch-in-the-reign',
    letsThrough:
      'The reign is the replication id alone. An isolated primary is chosen again before it was ever demoted: another ' +
      'ruled in between, and the id has not changed.',
    edits: [
      { file: ADOPT, find: "local reign = config_epoch .. ':' ..", replace: "local reign = '0:' .." },
      ...withoutTheEpoch(),
    ],
  },
  {
    name: 'adoption-majority',
    letsThrough:
      'A node is adopted because any one Sentinel names it. An isolated primary that came back empty is adopted by the ' +
      'instance beside it, with the Sentinel that has not heard of the election.',
    edits: [
      {
        file: KEEPER,
        find: 'const named = await locator.awaitNamed(recent, () => true, clock.monotonicMs() + STEP_TIMEOUT_MS);',
        replace:
          'const named = (await locator.awaitNamed(recent, () => true, clock.monotonicMs() + 1)) ?? locator.anyNamed();',
      },
      {
        file: KEEPER,
        find: 'const agreed = await locator.awaitNamed(',
        replace: 'const agreed = named;\n    void [',
      },
      {
        file: KEEPER,
        find: 'readAtMs + STEP_TIMEOUT_MS,\n    );',
        replace: 'readAtMs + STEP_TIMEOUT_MS,\n    ];',
      },
      {
        file: 'src/store/redis/primary-locator.ts',
        find: 'named(): NamedPrimary {',
        replace: 'anyNamed(): NamedPrimary {\n    return this.#named;\n  }\n\n  named(): NamedPrimary {',
      },
      {
        file: 'src/store/redis/sentinel-watch.ts',
        find: '  named(askedSinceMs: number)',
        replace:
          '  anyNamed(): NamedPrimary | undefined {\n    const named = [...this.#views.values()].map(({ primary }) => primary);\n' +
          '    return named.toSorted((a, b) => Number(a?.configEpoch) - Number(b?.configEpoch)).at(-1);\n  }\n\n' +
          '  named(askedSinceMs: number)',
      },
    ],
  },
  {
    name: 'adoption-asks-afterwards',
    letsThrough:
      'The majority that an adoption needs may have been asked before the reign was read. A primary that was demoted ' +
      'and chosen again between the two is adopted under the name of a reign that has ended.',
    edits: [{ file: KEEPER, find: '() => readAtMs,', replace: 'recent,' }, recentInJoin()],
  },
  {
    name: 'adoption-checks-the-role',
    letsThrough: 'A node that is demoted while an adoption is on its way to it is adopted as a replica.',
    edits: [
      {
        file: ADOPT,
        find: "if string.match(info, 'role:(%a+)') ~= 'master' then",
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'adoption-raises-the-token',
    letsThrough:
      'An adoption starts at the token that the node knows. It lost the last grants and its clock stepped back: a ' +
      'token is given twice, and a late writer is not recognised.',
    edits: [
      {
        file: ADOPT,
        find: 'token = math.max(tonumber(recorded[5]), seen_token)',
        replace: 'token = tonumber(recorded[5])',
      },
      {
        file: ADOPT,
        find: 'lapsed_before, floor, sure = 1, seen_token, now,',
        replace: 'lapsed_before, floor, sure = 1, 0, now,',
      },
      { file: ADOPT, find: 'if seen_token > tonumber(recorded[5]) then', replace: 'if false then' },
    ],
  },
  {
    name: 'known-deployment-is-not-new',
    letsThrough:
      'An instance with `bootstrap: new` takes a Redis that lost its data for a new one, although it has seen ' +
      'what Redis held: it grants again at once what was granted before.',
    edits: [
      {
        file: REIGN,
        find: 'policy.bootstrapNew && !this.#knowsDeployment &&',
        replace: 'policy.bootstrapNew &&',
      },
    ],
  },
  {
    name: 'replacement-is-not-new',
    letsThrough:
      'A server process with `bootstrap: new` ends at the moment at which Redis loses its data, and the one that ' +
      'replaces it takes that Redis for a new one: it grants at once what leases of the former process still ' +
      'hold.',
    edits: [
      {
        file: 'src/config/pack-config.ts',
        find: "{ ...config.redis, bootstrap: 'wait' }",
        replace: 'config.redis',
      },
    ],
  },
  {
    name: 'one-max-ttl',
    letsThrough:
      'Instances with different max_ttl share a Redis. The quarantine of the one is shorter than the leases of the ' +
      'other.',
    edits: [{ file: ADOPT, find: 'if recorded[9] ~= max_ttl then', replace: 'if false then' }],
  },
  {
    name: 'waits-for-the-first-replica',
    letsThrough:
      'No promise breaks, but the quarantine begins twice: the first replica that attaches changes the replication id.',
    edits: [{ file: KEEPER, find: 'while (!node.backlogActive &&', replace: 'while (false &&' }],
  },
  {
    name: 'noeviction',
    letsThrough: 'Redis may evict keys, and with them leases that are held.',
    edits: [
      {
        file: 'src/store/redis/node-fitness.ts',
        find: "if (policy === '' || policy === 'noeviction' ||",
        replace: 'if (true ||',
      },
    ],
  },
  {
    name: 'heirs-answer-incomplete',
    letsThrough:
      'A process that goes on for a dead one answers a roll call as if it remembered what that told. The primary dies ' +
      'with the last grants of the dead one, and its roll call ends before these are over.',
    edits: [
      {
        file: STANDING,
        find: 'this.#lacksUntilMs = diedAtMs + maxTtlMs + offsetMs;',
        replace: '',
      },
    ],
  },
  {
    name: 'heirs-wait-for-the-rest',
    letsThrough:
      'A process that goes on for a newcomer that died tells at once. It grants, and dies too; the promoted replica ' +
      'lacks the last two seconds, with the entry of both, and nobody waits for their answer.',
    edits: [
      {
        file: STANDING,
        find: 'this.#tellsFromMs = tellsFromMs + offsetMs;',
        replace: 'this.#tellsFromMs = 0;',
      },
    ],
  },
  {
    name: 'registers-until-it-is-answered',
    letsThrough:
      'An instance that was dropped registers again, the reply is lost, and the next try finds its entry: it tells at ' +
      'once. A replica that lacks the last two seconds is promoted, and nobody waits for its answer.',
    edits: [{ file: STANDING, find: 'this.#isRegistering = true;', replace: '' }],
  },
  {
    name: 'together-in-one-reign',
    letsThrough:
      'A worker that comes up under a later reign than the first of its group tells at once. Data between the two may ' +
      'have dropped its entry, and a replica that has them is promoted: nobody waits for what it told.',
    edits: [{ file: REGISTER, find: ' and own.epoch == state.epoch', replace: '' }],
  },
  {
    name: 'together-only-alone',
    letsThrough:
      'Workers that are started together tell at once beside other instances. The replica that is promoted lacks the ' +
      'last two seconds, and has the entries of the others: they answer, and what the workers told is forgotten.',
    edits: [
      {
        file: REGISTER,
        find: 'if is_alone then',
        replace: "is_alone = is_alone or group ~= ''\nif is_alone then",
      },
    ],
  },
];

function withoutTheEpoch(): Mutant['edits'] {
  return [
    {
      file: REIGN,
      find: `return \`\${configEpoch}:`,
      replace: `return \`\${configEpoch && 0}:`,
    },
  ];
}

function recentInJoin(): Mutant['edits'][number] {
  return {
    file: KEEPER,
    find: 'const readAtMs = clock.monotonicMs();',
    replace:
      'const readAtMs = clock.monotonicMs();\n' +
      '    const recent = (): number => clock.monotonicMs() - CONFIRMATION_WINDOW_MS;',
  };
}
