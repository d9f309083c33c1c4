// `npm run test:chaos:teeth`: shows that the chaos suite finds defects. It runs each scenario without its mutant, which
// must find nothing, then with it until the checker reports a broken promise, and prints the matrix; this takes some 30
// minutes. Exit codes: 0 when all is as it should be; 1 when a mutant was missed, or the product as it is broke a
// promise; 2 for wrong arguments.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nowMs } from '../history.ts';
import { type ChaosResult, runChaos } from '../run-chaos.ts';
import { CHAOS_MUTANTS, type ChaosMutant, mutantNamed } from './mutants.ts';
import { RULES } from './rules.ts';
import { checksOf, SCENARIOS } from './teeth-scenarios.ts';

const USAGE = `npm run test:chaos:teeth -- [--only NAME[,NAME]] [--runs N] [--seed N] [--control on|off]
                            [--keep DIR]

  --only     these mutants alone, also those that no run is expected to find
  --runs     seeds that are tried before a mutant counts as missed; what its scenario says when not given
  --seed     the first of them; 1 when not given
  --control  off: the product as it is isn't run in the same scenarios
  --keep     puts the histories and logs of each run into a folder there; without it those where something was found are
             kept in a folder that is told`;

/** The time that a run takes beside its load: to start everything, and to end it. */
const AROUND_MS = 180_000;
/** The length of a violation in the matrix; the whole text is printed when it is found. */
const MOST_TOLD = 240;

interface Arguments {
  readonly only: readonly ChaosMutant[] | undefined;
  readonly runs: number | undefined;
  readonly seed: number;
  readonly control: boolean;
  readonly keep: string | undefined;
}

/** The result for one mutant. */
interface Row {
  readonly name: ChaosMutant;
  readonly result: 'found' | 'MISSED' | 'not seen' | 'CONTROL';
  readonly runs: number;
  readonly first: string;
  readonly seconds: number;
}

const stop = new AbortController();
const beganAtMs = nowMs();
/** What a scenario showed without a mutant, kept because some mutants share one: undefined where nothing was wrong. */
const controls = new Map<string, string | undefined>();

async function main(): Promise<boolean> {
  const options = readArguments();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  const rows: Row[] = [];
  for (const name of options.only ?? CHAOS_MUTANTS) {
    if (stop.signal.aborted) break;
    const row = await tried(name, options);
    if (stop.signal.aborted) break;
    rows.push(row);
    tell(`${row.result} ${name}: ${row.first}`);
  }
  console.log(`\n${matrix(rows)}\n`);
  const wrong = rows.filter(({ result }) => result === 'MISSED' || result === 'CONTROL');
  const found = rows.filter(({ result }) => result === 'found').length;
  const unseen = rows.filter(({ result }) => result === 'not seen').length;
  console.log(
    `${found} found, ${wrong.length} wrong, ${unseen} that no run is expected to find; ${since(beganAtMs)} s in all`,
  );
  if (stop.signal.aborted) console.log('it was interrupted');
  return wrong.length === 0 && !stop.signal.aborted;
}

async function tried(name: ChaosMutant, { only, control, ...options }: Arguments): Promise<Row> {
  const scenario = SCENARIOS[name];
  const startedAtMs = nowMs();
  const row = (result: Row['result'], runs: number, first: string): Row => {
    return { name, result, runs, first, seconds: since(startedAtMs) };
  };
  const rule = RULES.find(({ without }) => without === name);
  const elsewhere = `${scenario.shows} test:rules finds it ("${rule?.test}")`;
  if (!scenario.breaksPromise && only === undefined) return row('not seen', 0, elsewhere);
  if (control) {
    const wrong = await withoutMutant(name, options);
    if (wrong !== undefined) return row('CONTROL', 0, `the product as it is: ${wrong}`);
  }
  const most = options.runs ?? scenario.runs;
  for (let run = 1; run <= most && !stop.signal.aborted; run++) {
    const first = foundIn(
      await carriedOut(name, options.seed + run - 1, { mutant: name, keep: options.keep }),
    );
    if (first !== undefined) return row('found', run, first);
  }
  if (!scenario.breaksPromise) return row('not seen', most, elsewhere);
  return row('MISSED', most, `nothing of ${checksOf(scenario).join(', ')}`);
}

async function withoutMutant(
  name: ChaosMutant,
  { seed, keep }: Pick<Arguments, 'seed' | 'keep'>,
): Promise<string | undefined> {
  const { steps, minAcks, clients, seconds } = SCENARIOS[name];
  const key = JSON.stringify([steps, minAcks, clients, seconds, checksOf(SCENARIOS[name])]);
  if (!controls.has(key)) {
    const result = await carriedOut(name, seed, { mutant: undefined, keep });
    controls.set(key, foundIn(result) ?? result.broken);
  }
  return controls.get(key);
}

async function carriedOut(
  name: ChaosMutant,
  seed: number,
  { mutant, keep }: { readonly mutant: string | undefined; readonly keep: string | undefined },
): Promise<ChaosResult> {
  const scenario = SCENARIOS[name];
  const { steps, minAcks, clients, seconds, rollCall = false } = scenario;
  const what = mutant === undefined ? `${name} (control)` : name;
  tell(`${what}, seed ${seed}`);
  const result = await runChaos({
    seed,
    minutes: seconds / 60,
    plan: { name: what, mode: 'safety', minAcks, steps, rollCall },
    hunt: checksOf(scenario),
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(seconds * 1_000 + AROUND_MS)]),
    tell: (line) => console.log(`  ${line}`),
    ...(mutant !== undefined && { mutant }),
    ...(clients && { clients }),
    ...(keep !== undefined && { folder: join(keep, `${name}-${mutant === undefined ? 'control' : seed}`) }),
  });
  const { calls } = result.verdict.figures;
  const asked = `${calls.ok} calls ok, ${calls.failed} failed, ${calls.unknown} unknown`;
  tell(`${what}, seed ${seed}: ${foundIn(result) ?? result.broken ?? 'nothing'} (${asked})`);
  if (result.folder !== undefined) tell(`histories and logs: ${result.folder}`);
  return result;
}

function foundIn({ verdict }: ChaosResult): string | undefined {
  const [first] = verdict.violations;
  return first && `${first.check}: ${first.text}`;
}

function matrix(rows: readonly Row[]): string {
  const lines = rows.map(({ name, result, runs, first, seconds }) => {
    const [takenOut = ''] = mutantNamed(name).letsThrough.split(/(?<=\.) /);
    const needed = result === 'found' ? `${runs} of ${SCENARIOS[name].runs}` : result;
    const told = result === 'found' && first.length > MOST_TOLD ? `${first.slice(0, MOST_TOLD)}…` : first;
    return `| ${name} | ${takenOut} | ${needed} | ${told} | ${seconds} |`;
  });
  const head = [
    '| mutant | what is taken out | runs needed | first violation | s |',
    '|---|---|---|---|---|',
  ];
  return [...head, ...lines].join('\n');
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        runs: { type: 'string' },
        seed: { type: 'string', default: '1' },
        control: { type: 'string', default: 'on' },
        keep: { type: 'string' },
      },
    });
    if (values.control !== 'on' && values.control !== 'off') throw new Error(`--control ${values.control}`);
    return {
      only: values.only?.split(',').map(mutantOf),
      runs: values.runs === undefined ? undefined : numberOf('runs', values.runs),
      seed: numberOf('seed', values.seed),
      control: values.control === 'on',
      keep: values.keep,
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

function mutantOf(name: string): ChaosMutant {
  const known = CHAOS_MUTANTS.find((one) => one === name);
  if (known === undefined) throw new Error(`--only ${name}: there are ${CHAOS_MUTANTS.join(', ')}`);
  return known;
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} ${text}: 1 or more`);
  return number;
}

function since(fromMs: number): number {
  return Math.round((nowMs() - fromMs) / 1_000);
}

function tell(line: string): void {
  console.log(`${String(since(beganAtMs)).padStart(5)} s  ${line}`);
}

process.exit((await main()) ? 0 : 1);
