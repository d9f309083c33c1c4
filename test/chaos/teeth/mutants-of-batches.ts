// Mutants of the commands that go to Redis in one call: a part of mutants.ts.

import type { Mutant } from './mutant.ts';

const BATCH = 'src/store/redis/lua/batch.lua';
const BATCHES = 'src/store/redis/command-batches.ts';

export const MUTANTS_OF_BATCHES: readonly Mutant[] = [
  {
    name: 'batch-records-its-tokens',
    letsThrough:
      'The tokens that a batch gives are recorded nowhere. The next grant in the same microsecond, or after a step of ' +
      'the system clock, gets one of them again.',
    edits: [{ file: BATCH, find: 'if state.has_granted then', replace: 'if false then' }],
  },
  {
    name: 'neighbours-stand',
    letsThrough:
      'An error of one command ends its batch. Those behind it are not run, those before it have been, and all callers ' +
      'hear that the outcome is unknown.',
    edits: [
      {
        file: BATCH,
        find: 'local is_done, reply = pcall(commands[name], keys, args, enter_batch, advanced)',
        replace: 'local is_done, reply = true, commands[name](keys, args, enter_batch, advanced)',
      },
    ],
  },
  {
    name: 'late-in-a-batch',
    letsThrough:
      'A command runs with its batch as long as one of the others is in time. A primary that stood still grants what ' +
      'its caller has long given up.',
    edits: [{ file: BATCH, find: 'if is_late(state.now, not_after) then', replace: 'if false then' }],
  },
  {
    name: 'batches-keep-the-order',
    letsThrough:
      'Commands overtake each other. That of a call which is cancelled leaves a queue before the call has joined it, ' +
      'and the resource is granted to nobody.',
    edits: [{ file: BATCHES, find: 'this.#waiting.push({', replace: 'this.#waiting.unshift({' }],
  },
  {
    name: 'full-redis-runs-the-rest',
    letsThrough:
      'In a full Redis a batch is refused as a whole. Leases lapse, because their renewals wait beside grants that need ' +
      'memory.',
    edits: [
      { file: BATCHES, find: 'if (!command.script.allowsOom) this.#settle(', replace: 'this.#settle(' },
    ],
  },
];
