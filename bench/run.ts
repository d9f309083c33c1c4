// `npm run bench`: runs the scenarios one after the other, each with its floor in the same run, and prints their
// figures beside the budgets; or measures another checkout in turn with this one. See bench/README.md. Owns the order
// of the run, and the JSON.
//
//   node bench/run.ts [--quick] [--only NAME]... [--runs N] [--json FILE] [--plots FOLDER]
//   node bench/run.ts --against DIR [--rounds N] [--quick] [--only NAME]... [--json FILE]
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { describeRuntime, findRedis } from '../test/support/redis/find-redis.ts';
import { checkoutAt, commitOf } from './against/checkout.ts';
import { compareCheckouts } from './against/compare-checkouts.ts';
import { MATCHES, USUAL_MATCHES } from './against/matches.ts';
import { renewExamples } from './capacity-examples.ts';
import { tableHead, tableLine } from './figure-table.ts';
import { type Figure, isMet, medianOfRuns } from './figures.ts';
import { type BenchOptions, chosenBy, readOptions } from './options.ts';
import { writePlots } from './plot/write-plots.ts';
import type { Report } from './report.ts';
import { runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { QUICK_SCENARIOS, SCENARIOS } from './scenarios.ts';
import { writeUnitFigures } from './unit-figures-file.ts';

const ROOT = join(import.meta.dirname, '..');

async function bench(options: BenchOptions): Promise<void> {
  const named = chosenBy(options.only, SCENARIOS);
  const chosen = options.quick && options.only.length === 0 ? QUICK_SCENARIOS : named;
  const about = await machineAndCommit(options);
  const figures: Figure[] = [];
  for (const scenario of chosen) {
    console.log(`\n${scenario.title} (${scenario.name})\n${tableHead()}`);
    const found = await inRuns(scenario, options);
    for (const figure of found) console.log(tableLine(figure));
    figures.push(...found);
  }
  const judged = figures.filter((figure) => isMet(figure) !== undefined);
  const left = named.filter((scenario) => !chosen.includes(scenario)).map(({ name }) => name);
  if (left.length > 0) console.log(`\nleft out of a quick run, unless --only names them: ${left.join(', ')}`);
  const by = options.runs > 1 ? ` by the medians of ${options.runs} runs` : '';
  console.log(`\n${judged.filter(isMet).length} of ${judged.length} budgets met${by}`);
  const report: Report = { ...about, figures };
  write(report, options);
  if (writeUnitFigures(report)) {
    const examples = await renewExamples();
    console.log(`written: src/capacity/unit-figures.ts, and ${examples} examples of docs/capacity.md`);
  }
  if (options.plots)
    console.log(`${writePlots(report, options.plots).files.length} plots in ${options.plots}`);
}

async function inRuns(scenario: Scenario, { runs, quick }: BenchOptions): Promise<readonly Figure[]> {
  const found: (readonly Figure[])[] = [];
  for (let run = 0; run < runs; run++) found.push(await runScenario(scenario, { quick }));
  return medianOfRuns(found);
}

async function against(folder: string, options: BenchOptions): Promise<void> {
  const matches = options.only.length === 0 ? USUAL_MATCHES : chosenBy(options.only, MATCHES);
  const other = checkoutAt(folder);
  const about = await machineAndCommit(options);
  const figures = await compareCheckouts(other, matches, options);
  write({ ...about, against: other.commit, figures }, options);
}

async function machineAndCommit({
  quick,
  runs,
  against: other,
}: BenchOptions): Promise<Omit<Report, 'figures'>> {
  const [cpu] = cpus();
  const about = {
    date: new Date().toISOString(),
    commit: commitOf(ROOT),
    machine: `${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, load average ${loadavg()[0]?.toFixed(1)} before`,
    node: process.versions.node,
    redis: describeRuntime(await findRedis()),
    quick,
    ...(other === undefined ? { runs } : {}),
  };
  for (const [name, value] of Object.entries(about)) console.log(`  ${name.padEnd(8)} ${value}`);
  return about;
}

function write(report: Report, { json }: BenchOptions): void {
  if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

try {
  const options = readOptions(process.argv.slice(2));
  await (options.against === undefined ? bench(options) : against(options.against, options));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exit();
