// The command of chaos runs: `npm run test:chaos -- --seed N --minutes M`. Owns the arguments, what is printed and the
// exit code: 0 when every promise was kept, 1 when one was broken or the run itself went wrong, 2 for wrong arguments.
import { parseArgs } from 'node:util';
import { report } from './checker/verdict-report.ts';
import { type ChaosOptions, type ChaosResult, runChaos } from './run-chaos.ts';

const USAGE = `npm run test:chaos -- [--seed N] [--minutes M] [--mode safety|liveness] [--plan FILE|FAULT[+FAULT]]
                      [--acks N] [--roll-call on|off] [--mutant NAME] [--keep DIR] [--json]

  --seed     draws the plan and the clients' choices; 1 when not given
  --minutes  of load, before everything is stopped and judged; 3 when not given
  --mode     safety: faults that heal (default); liveness: one that stays
  --plan     a plan.json of an earlier run, or faults that come again and again; otherwise the seed draws one
  --acks     replicas that must have what is told, 0 for none; 1 when not given
  --roll-call  off: each quarantine lasts its whole time
  --mutant   takes out a mechanism, so that something must be found
  --keep     puts histories and logs there; without it they are kept only where something is wrong
  --json     prints the verdict as JSON, and what happens on standard error`;

type Arguments = ChaosOptions & { readonly json: boolean };

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '3' },
      mode: { type: 'string', default: 'safety' },
      plan: { type: 'string' },
      acks: { type: 'string', default: '1' },
      'roll-call': { type: 'string' },
      mutant: { type: 'string' },
      keep: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { mode, plan, mutant, keep, json, 'roll-call': rollCall } = values;
  if (mode !== 'safety' && mode !== 'liveness') throw new Error(`--mode ${mode}`);
  if (rollCall !== undefined && rollCall !== 'on' && rollCall !== 'off') {
    throw new Error(`--roll-call ${rollCall}`);
  }
  return {
    seed: numberOf('seed', values.seed, 0, 2 ** 31 - 1),
    minutes: numberOf('minutes', values.minutes, 0.1, 24 * 60),
    minAcks: numberOf('acks', values.acks, 0, 2),
    mode,
    json,
    ...(plan !== undefined && { plan }),
    ...(rollCall !== undefined && { rollCall: rollCall === 'on' }),
    ...(mutant !== undefined && { mutant }),
    ...(keep !== undefined && { folder: keep }),
  };
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (!(number >= least && number <= most)) throw new Error(`--${name} ${text}: ${least} to ${most}`);
  return number;
}

function replayOf({ seed, minutes, minAcks, mutant }: Arguments, { folder, plan }: ChaosResult): string {
  const options = [`--seed ${seed}`, `--minutes ${minutes}`, `--acks ${minAcks}`, `--mode ${plan.mode}`];
  if (mutant !== undefined) options.push(`--mutant ${mutant}`);
  if (plan.rollCall === false) options.push('--roll-call off');
  if (plan.name !== 'random' && folder !== undefined) options.push(`--plan ${folder}/plan.json`);
  return `npm run test:chaos -- ${options.join(' ')}`;
}

async function main(): Promise<void> {
  let options: Arguments;
  try {
    options = readArguments();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Asked a second time, it ends at once. What runs ends with this process.
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  const tell = (line: string): void => (options.json ? console.error(line) : console.log(line));
  const result = await runChaos({ ...options, tell, signal: stop.signal });
  const { verdict, broken, folder, skippedSteps, beganAtMs } = result;
  const isRed = broken !== undefined || verdict.violations.length > 0;
  if (options.json) console.log(JSON.stringify({ ...verdict, broken, folder, skippedSteps }));
  else console.log(`\n${report(verdict, beganAtMs)}`);
  if (skippedSteps > 0) tell(`${skippedSteps} faults of the plan could not be done at their time`);
  if (folder !== undefined) tell(`histories and logs: ${folder}`);
  if (isRed) {
    tell(broken === undefined ? 'a promise was broken' : `the run went wrong: ${broken}`);
    tell(`again: ${replayOf(options, result)}`);
  }
  process.exit(isRed ? 1 : 0);
}

await main();
