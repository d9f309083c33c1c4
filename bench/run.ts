// `npm run bench`: runs the scenarios one after the other, each with its floor in the same run, and prints their
// figures beside the budgets; see bench/README.md. Owns the arguments, the table and the JSON.
//
//   node bench/run.ts [--quick] [--only NAME]... [--json FILE] [--plots FOLDER]
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { describeRuntime, findRedis } from '../test/support/redis/find-redis.ts';
import { renewExamples } from './capacity-examples.ts';
import { tableHead, tableLine } from './figure-table.ts';
import { type Figure, isMet } from './figures.ts';
import { writePlots } from './plot/write-plots.ts';
import type { Report } from './report.ts';
import { runScenario } from './run-scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { writeUnitFigures } from './unit-figures-file.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
    plots: { type: 'string' },
  },
});

async function bench(): Promise<void> {
  const unknown = options.only.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    const known = SCENARIOS.map(({ name }) => name).join(', ');
    throw new Error(`no scenario ${unknown.join(', ')}; there are ${known}`);
  }
  const [cpu] = cpus();
  const about = {
    date: new Date().toISOString(),
    commit: commit(),
    machine: `${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, load average ${loadavg()[0]?.toFixed(1)} before`,
    node: process.versions.node,
    redis: describeRuntime(await findRedis()),
    quick: options.quick,
  };
  for (const [name, value] of Object.entries(about)) console.log(`  ${name.padEnd(8)} ${value}`);
  const figures: Figure[] = [];
  const chosen = SCENARIOS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  for (const scenario of chosen) {
    console.log(`\n${scenario.title} (${scenario.name})\n${tableHead()}`);
    const found = await runScenario(scenario, { quick: options.quick });
    for (const figure of found) console.log(tableLine(figure));
    figures.push(...found);
  }
  const judged = figures.filter((figure) => isMet(figure) !== undefined);
  console.log(`\n${judged.filter(isMet).length} of ${judged.length} budgets met`);
  const report: Report = { ...about, figures };
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (writeUnitFigures(report)) {
    const examples = await renewExamples();
    console.log(`written: src/capacity/unit-figures.ts, and ${examples} examples of docs/capacity.md`);
  }
  if (options.plots)
    console.log(`${writePlots(report, options.plots).files.length} plots in ${options.plots}`);
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch {
    return 'unknown'; // a copy without git history
  }
}

try {
  await bench();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exit();
