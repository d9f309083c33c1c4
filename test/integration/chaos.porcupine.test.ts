// Our search for an order against porcupine's, on random small histories of a register: about half of them as a
// register really answers, the others with one answer changed. Needs Go, and the module from its cache or proxy.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkLinearizable, type TimedOp } from '../chaos/checker/linearizability.ts';
import { REGISTER, type RegisterOp } from '../support/chaos-register.ts';

const RUNS = Number(process.env.LEASEHOLD_TEST_RUNS ?? 600);
const SEED = Number(process.env.LEASEHOLD_TEST_SEED ?? 1);
const SOURCE = join(import.meta.dirname, '../chaos/porcupine');
const BINARY = join(import.meta.dirname, '../../.cache/porcupine');
const BUILD_WITHIN_MS = 90_000;

/** Says why there is no porcupine; undefined when there is. */
function build(): string | undefined {
  const path = [process.env.PATH, '/usr/local/go/bin'].join(delimiter);
  const go = path
    .split(delimiter)
    .map((folder) => join(folder, 'go'))
    .find((file) => existsSync(file));
  if (go === undefined) return 'Go is not installed';
  const { status, stderr } = spawnSync(go, ['build', '-o', BINARY, '.'], {
    cwd: SOURCE,
    encoding: 'utf8',
    timeout: BUILD_WITHIN_MS,
  });
  if (status === 0) return undefined;
  // A program that doesn't compile is a defect, and no reason to skip.
  if (/dial tcp|lookup |proxyconnect|timeout|Forbidden|no such host|toolchain not available/.test(stderr)) {
    return `the module could not be downloaded: ${stderr.trim()}`;
  }
  throw new Error(`go build failed: ${stderr}`);
}

interface Step {
  readonly kind: RegisterOp['kind'];
  readonly value: number;
  readonly expected: number;
  /** How long before its effect a step began, and how long after it it was answered. */
  readonly before: number;
  readonly after: number;
  readonly fate: 'known' | 'unknown' | 'unknown, without effect';
}

const value = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('read', 'read', 'write', 'cas'),
  value,
  expected: value,
  before: fc.integer({ min: 0, max: 25 }),
  after: fc.integer({ min: 0, max: 25 }),
  fate: fc.constantFrom('known', 'known', 'known', 'unknown', 'unknown, without effect'),
});

/** What a register answers when the steps take effect one after the other, ten milliseconds apart. */
function answered(steps: readonly Step[]): TimedOp<RegisterOp>[] {
  let state = 0;
  return steps.map(({ kind, value, expected, before, after, fate }, index) => {
    const atMs = index * 10;
    // A read whose answer nobody got says nothing.
    const isKnown = fate === 'known' || kind === 'read';
    const [found, isSwapped] = [state, kind === 'cas' && state === expected];
    if (fate !== 'unknown, without effect' && (kind === 'write' || isSwapped)) state = value;
    const op: RegisterOp = { kind, value: kind === 'read' ? found : value, expected, isSwapped, isKnown };
    return { op, fromMs: atMs - before, toMs: isKnown ? atMs + after : Number.POSITIVE_INFINITY };
  });
}

const history = fc
  .tuple(fc.array(step, { minLength: 1, maxLength: 12 }), fc.option(fc.tuple(fc.nat(), value)))
  .map(([steps, corruption]) => {
    const calls = answered(steps);
    if (!corruption) return calls;
    const [which, wrong] = corruption;
    return calls.map((one, index) => {
      if (index !== which % calls.length || !one.op.isKnown) return one;
      return { ...one, op: { ...one.op, value: wrong, isSwapped: !one.op.isSwapped } };
    });
  });

const missing = build();
if (missing !== undefined) console.log(`not compared with porcupine: ${missing}`);

// Where Go is missing, or its module can't be downloaded, there is nothing to compare with; the test prints the reason.
test.skipIf(missing !== undefined)(
  'the search agrees with porcupine on every random history',
  () => {
    const histories = fc.sample(history, { numRuns: RUNS, seed: SEED });
    const { stdout, status, stderr } = spawnSync(BINARY, {
      input: JSON.stringify(
        // JSON has no infinity, so there the end is left out.
        histories.map((calls) =>
          calls.map((one) => (Number.isFinite(one.toMs) ? one : { ...one, toMs: null })),
        ),
      ),
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const theirs: unknown = JSON.parse(stdout);
    const ours = histories.map((calls) => checkLinearizable(REGISTER, calls));
    expect(ours.map((judged) => judged === 'linearizable')).toEqual(theirs);
    // There must be many of both kinds, or the comparison would say little.
    expect(ours).not.toContain('undecided');
    for (const kind of ['linearizable', 'violated'] as const) {
      expect(ours.filter((judged) => judged === kind).length).toBeGreaterThan(RUNS / 10);
    }
  },
  BUILD_WITHIN_MS,
);
