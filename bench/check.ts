// `npm run bench:check`: a quick run of the scenarios against the recorded ratios and their budgets. It fails if a ratio
// is more than 15 % worse in each of three runs, or if the median of three runs misses its budget. With --record it
// records the medians of three runs. See bench/README.md.
//
//   node bench/check.ts [--only NAME]... [--record] [--runs N]
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type MissedBudget,
  missedBudgets,
  type Recorded,
  type Regression,
  recordOf,
  regressions,
  TOLERANCE,
} from './comparison.ts';
import type { Figure } from './figures.ts';
import { runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

const RECORDED = join(import.meta.dirname, 'recorded.json');
const RUNS = '3';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    record: { type: 'boolean', default: false },
    runs: { type: 'string', default: RUNS },
  },
});
const runsOfEach = Number(options.runs);

function readRecorded(): Recorded {
  return JSON.parse(readFileSync(RECORDED, 'utf8')) as Recorded; // only recordOf writes it
}

function belongsTo(scenario: Scenario): (key: string) => boolean {
  return (key) => key.startsWith(`${scenario.name}: `);
}

async function record(chosen: readonly Scenario[]): Promise<void> {
  const others = Object.entries(options.only.length > 0 ? readRecorded() : {}).filter(
    ([key]) => !chosen.some((scenario) => belongsTo(scenario)(key)),
  );
  let recorded = Object.fromEntries(others);
  for (const scenario of chosen) {
    const runs: (readonly Figure[])[] = [];
    for (let run = 0; run < runsOfEach; run++) runs.push(await runScenario(scenario, { quick: true }));
    recorded = { ...recorded, ...recordOf(runs) };
    console.log(`  ${scenario.name}: recorded`);
  }
  writeFileSync(RECORDED, `${JSON.stringify(recorded, null, 2)}\n`);
}

interface Verdict {
  readonly worse: readonly Regression[];
  readonly missed: readonly MissedBudget[];
}

/** Runs the scenario again while something is worse: a busy machine is not a regression. */
async function check(scenario: Scenario, all: Recorded): Promise<Verdict> {
  const isOurs = belongsTo(scenario);
  const recorded = Object.fromEntries(Object.entries(all).filter(([key]) => isOurs(key)));
  const runs: (readonly Figure[])[] = [];
  for (;;) {
    const latest = await runScenario(scenario, { quick: true });
    runs.push(latest);
    const worse = regressions(recorded, runs);
    // A run that meets the budgets is enough. Once one hasn't, the median of all of them counts.
    const anyMissed = runs.some((run) => missedBudgets(recorded, [run]).length > 0);
    const missed = missedBudgets(recorded, [latest]);
    console.log(`  ${scenario.name}, run ${runs.length}: ${resultOf({ worse, missed })}`);
    if ((worse.length === 0 && !anyMissed) || runs.length === runsOfEach) {
      return { worse, missed: missedBudgets(recorded, runs) };
    }
  }
}

function resultOf({ worse, missed }: Verdict): string {
  const regressed = worse.length === 0 ? 'as recorded or better' : `${worse.length} worse than recorded`;
  return missed.length === 0 ? regressed : `${regressed}, ${missed.length} budgets not met`;
}

try {
  if (!Number.isInteger(runsOfEach) || runsOfEach < 1)
    throw new Error(`--runs: a number from 1, not ${options.runs}`);
  const chosen = SCENARIOS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  if (chosen.length === 0) throw new Error(`no scenario ${options.only.join(', ')}`);
  if (options.record) {
    await record(chosen);
  } else {
    const recorded = readRecorded();
    const verdicts: Verdict[] = [];
    const keys = Object.keys(recorded);
    // The other figures depend on this machine, or aren't steady.
    for (const scenario of chosen.filter((each) => keys.some(belongsTo(each)))) {
      verdicts.push(await check(scenario, recorded));
    }
    const worse = verdicts.flatMap((verdict) => verdict.worse);
    const missed = verdicts.flatMap((verdict) => verdict.missed);
    for (const { key, recorded: before, measured } of worse) {
      console.error(`  ${key}: ${before} recorded, ${measured?.toPrecision(4) ?? 'nothing'} measured`);
    }
    for (const { key, measured } of missed) {
      console.error(`  ${key}: ${measured.toPrecision(4)}, the median of ${runsOfEach}, misses its budget`);
    }
    if (worse.length > 0)
      console.error(`${worse.length} figures are more than ${TOLERANCE * 100} % worse than recorded`);
    if (missed.length > 0) console.error(`${missed.length} budgets are not met`);
    if (worse.length > 0 || missed.length > 0) process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exit();
