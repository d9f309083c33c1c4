// Mutants whose answers are wrong: unconfirmed, not on the replicas, sent twice.

import type { Mutant } from './mutant.ts';

const LANE = 'src/store/redis/command-lane.ts';
const BARRIER = 'src/store/redis/commit-barrier.ts';
const WATCH = 'src/store/redis/sentinel-watch.ts';
const CONNECTION = 'src/store/redis/connection.ts';
const AFTER_THE_REPLY =
  'if (!this.#isConfirmed(session) && !(await this.#confirmed(session, bound.deadlineMs))) {';
const NEEDS_REPLICAS = 'const needsReplicas = minAcks > 0 && !NEEDS_NO_REPLICA.includes(reply[0]);';

export const MUTANTS_OF_ANSWERS: readonly Mutant[] = [
  {
    name: 'confirmation',
    letsThrough:
      'Answers need no Sentinel. A primary that is isolated with an instance and its clients goes on granting, while ' +
      'the quarantine of the next one passes and it grants the same.',
    edits: [
      { file: LANE, find: 'if (!this.#isConfirmed(session)) {', replace: 'if (false) {' },
      { file: LANE, find: AFTER_THE_REPLY, replace: 'if (false) {' },
    ],
  },
  {
    name: 'confirmation-after-the-reply',
    letsThrough:
      'The Sentinels are asked before the command is sent, and not after its reply. The primary is frozen in between ' +
      'or its reply delayed; the election and the quarantine lie between the question and the answer.',
    edits: [{ file: LANE, find: AFTER_THE_REPLY, replace: 'if (false) {' }],
  },
  {
    name: 'confirmation-before-the-command',
    letsThrough:
      'Commands are sent that no answer can follow. No promise breaks, but resources are taken by leases that nobody ' +
      'is told of.',
    edits: [{ file: LANE, find: 'if (!this.#isConfirmed(session)) {', replace: 'if (false) {' }],
  },
  {
    name: 'confirmation-window',
    letsThrough:
      'A confirmation counts for a minute and not for 2 s. An isolated primary renews and grants for that long, and ' +
      'the quarantine of the next one covers only 2 s of it.',
    edits: [
      {
        file: LANE,
        find: 'return Math.max(this.#options.clock.monotonicMs() - CONFIRMATION_WINDOW_MS, session.lateAtMs);',
        replace: 'return Math.max(this.#options.clock.monotonicMs() - 60_000, session.lateAtMs);',
      },
    ],
  },
  {
    name: 'asked-and-not-answered',
    letsThrough:
      'The age of a confirmation counts from its arrival. An answer that took its time, or lay in a buffer while this ' +
      'process stood still, confirms what was true when it was given.',
    edits: [
      {
        file: WATCH,
        find: 'this.#heard(asking.id, {',
        replace: 'const answeredAtMs = clock.monotonicMs();\n      this.#heard(asking.id, {',
      },
      {
        file: WATCH,
        find: '        askedAtMs,\n        askedAtWallMs,',
        replace: '        askedAtMs: answeredAtMs,\n        askedAtWallMs,',
      },
    ],
  },
  {
    name: 'sentinels-by-id',
    letsThrough:
      'Sentinels are told apart by their address. Two names of one Sentinel are a majority of three, while the other ' +
      'two have elected somebody else.',
    edits: [
      {
        file: WATCH,
        find: 'this.#heard(asking.id, {',
        replace: `this.#heard(\`\${formatHostPort(this.#address)}\`, {`,
      },
    ],
  },
  {
    name: 'sentinels-that-exist',
    letsThrough:
      'The majority is one of the Sentinels that are configured. Two of three are one, while the three others of five ' +
      'have elected somebody else.',
    edits: [
      {
        file: WATCH,
        find: 'if (view.askedAtMs >= since) count = Math.max(count, view.sentinels);',
        replace: 'void view.sentinels;\n      void since;',
      },
    ],
  },
  {
    name: 'agreement-about-the-epoch',
    letsThrough:
      'Sentinels that name one address under different config epochs count as agreed. One of them speaks of the ' +
      'reign before the last election.',
    edits: [
      {
        file: 'src/store/redis/primary-locator.ts',
        find: `key: \`\${formatHostPort(address)} epoch \${configEpoch}\``,
        replace: 'key: formatHostPort(address)',
      },
    ],
  },
  {
    name: 'replicas',
    letsThrough:
      'No replica is waited for. The primary dies right after an answer, and the operation that was acknowledged is ' +
      'forgotten.',
    edits: [
      {
        file: BARRIER,
        find: 'const acks = await this.#commit(batch);',
        replace: 'const acks = minAcks;\n        void this.#commit;\n        void batch;',
      },
    ],
  },
  {
    name: 'mark',
    letsThrough:
      'WAIT is asked on a connection that has written nothing since its last one, and Redis 7.0 acknowledges that from ' +
      'memory: the replicas have what was written before the last WAIT, and not this.',
    edits: [
      {
        file: BARRIER,
        find: "connection.call('EVALSHA', mark.sha1, ...session.head(lastMs));",
        replace: "Promise.resolve(['marked', '0']);",
      },
    ],
  },
  {
    name: 'mark-after-the-reply',
    letsThrough:
      'A reply that comes while a WAIT is under way passes with it, although the mark was written before.',
    edits: [
      {
        file: BARRIER,
        find: '      const batch = this.#queue;\n      this.#queue = [];\n',
        replace: '      const batch = this.#queue;\n',
      },
      {
        file: BARRIER,
        find: '        const acks = await this.#commit(batch);\n',
        replace: '        const acks = await this.#commit(batch);\n        this.#queue = [];\n',
      },
      {
        file: BARRIER,
        find: '        this.#connection?.destroy();\n        this.#connection = undefined;\n',
        replace:
          '        this.#connection?.destroy();\n        this.#connection = undefined;\n        this.#queue = [];\n',
      },
    ],
  },
  {
    name: 'mark-of-this-reign',
    letsThrough:
      'A mark is written whatever reign is recorded. The primary restarts empty between a reply and the mark, and its ' +
      'replicas acknowledge the mark of the new data.',
    edits: [
      {
        file: 'src/store/redis/lua/mark-commit.lua',
        find: 'if not state then return refusal end\nadvance(state)\n',
        replace: "redis.call('HSET', meta, 'mark', reign)\nif not state then return { 'marked', '0' } end\n",
      },
    ],
  },
  {
    name: 'repeats-on-replicas',
    letsThrough:
      'A repeat is answered without the replicas. The first answer was withheld because they had not ' +
      'acknowledged it; its repeat says success, the primary dies, and what was acknowledged is forgotten.',
    edits: [
      {
        file: LANE,
        find: NEEDS_REPLICAS,
        replace:
          'const isNew = !repeats.has(args[1] ?? "");\n    repeats.add(args[1] ?? "");\n    ' +
          'const needsReplicas = minAcks > 0 && isNew && !NEEDS_NO_REPLICA.includes(reply[0]);',
      },
      {
        file: LANE,
        find: 'const RETRY_SOON_MS = 500;',
        replace: 'const RETRY_SOON_MS = 500;\nconst repeats = new Set<string>();',
      },
    ],
  },
  {
    name: 'reads-on-replicas',
    letsThrough:
      'Reads of operations are answered without the replicas. Somebody acts on a result that the next primary has ' +
      'never heard of.',
    edits: [
      {
        file: LANE,
        find: "  'moved',\n  'quarantined',",
        replace: "  'moved',\n  'operations',\n  'quarantined',",
      },
    ],
  },
  {
    name: 'refusals-without-replicas',
    letsThrough:
      'No promise breaks, but when the replicas are away even a refusal, which tells of nothing that can be lost, ' +
      'takes the whole command timeout and comes as an unknown outcome.',
    edits: [
      {
        file: LANE,
        find: NEEDS_REPLICAS,
        replace: 'void NEEDS_NO_REPLICA;\n    const needsReplicas = minAcks > 0;',
      },
    ],
  },
  {
    name: 'durability-of-a-request',
    letsThrough:
      'A request that asks for more replicas than the server does gets what all get, and its caller acts on what ' +
      'it believes to be safe.',
    edits: [
      {
        file: LANE,
        find: 'const minAcks = Math.max(this.#options.minAcks, bound.minAcks ?? 0);',
        replace: 'const minAcks = this.#options.minAcks;',
      },
    ],
  },
  {
    name: 'durability-of-an-operation',
    letsThrough:
      'The lock of an operation waits for the default number of replicas, whatever its spec wants: the worker ' +
      'acts on a lease that it believes to survive a failover.',
    edits: [
      {
        file: 'src/store/redis/redis-operation-store.ts',
        find: 'return this.#options.lane.onReplicas(answer, minAcks, bound);',
        replace: 'void minAcks;\n    void bound;\n    return Promise.resolve(answer);',
      },
    ],
  },
  {
    name: 'nothing-is-sent-again',
    letsThrough:
      'The library reconnects and sends unanswered commands again. A command runs twice: the second time after ' +
      'its caller was told that the outcome is unknown, and has done something about it.',
    edits: [
      { file: CONNECTION, find: 'retryStrategy: () => null,', replace: 'retryStrategy: () => 50,' },
      {
        file: CONNECTION,
        find: 'autoResendUnfulfilledCommands: false,',
        replace: 'autoResendUnfulfilledCommands: true,',
      },
      { file: CONNECTION, find: 'maxRetriesPerRequest: 0,', replace: 'maxRetriesPerRequest: null,' },
      { file: CONNECTION, find: 'enableOfflineQueue: false,', replace: 'enableOfflineQueue: true,' },
    ],
  },
];
