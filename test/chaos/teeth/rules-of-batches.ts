// The rules of commands that go to Redis in one call, the mutant without each, and the test that fails then: a part of
// rules.ts.

import type { Rule } from './rules.ts';

const BATCHES = 'test/integration/command-batches.rules.test.ts';

export const RULES_OF_BATCHES: readonly Rule[] = [
  {
    rule: 'A batch records the largest token that it gave.',
    without: 'batch-records-its-tokens',
    file: BATCHES,
    test: 'no two grants of a batch have the same token, and the next one has a larger one',
  },
  {
    rule: 'A command that fails takes no other of its batch with it.',
    without: 'neighbours-stand',
    file: BATCHES,
    test: 'a command that fails takes no other of its batch with it',
  },
  {
    rule: 'Each command of a batch is late for itself.',
    without: 'late-in-a-batch',
    file: BATCHES,
    test: 'a command of a batch that is run too late does nothing, and those with more time are granted',
  },
  {
    rule: 'Batches keep the order in which commands were asked.',
    without: 'batches-keep-the-order',
    file: BATCHES,
    test: 'a call that leaves right behind its own acquire leaves nothing',
  },
  {
    rule: 'A full Redis runs what makes room, also beside what it refuses.',
    without: 'full-redis-runs-the-rest',
    file: BATCHES,
    test: 'in a full Redis the commands of a batch that make room run, and the others are told that it is full',
  },
];
