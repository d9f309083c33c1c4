// The arguments of `npm run bench`, and which of them go together. Owns the sentences about those that don't.
import { parseArgs } from 'node:util';

/** The spread of fewer rounds says little. */
export const FEWEST_ROUNDS = 5;

export interface BenchOptions {
  readonly quick: boolean;
  /** The names of scenarios; empty if none was named. */
  readonly only: readonly string[];
  readonly json: string | undefined;
  readonly plots: string | undefined;
  /** How often each scenario runs; its figures are the medians. */
  readonly runs: number;
  /** The folder of the other checkout. */
  readonly against: string | undefined;
  /** How often both checkouts are measured; undefined if it wasn't said. */
  readonly rounds: number | undefined;
}

export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      plots: { type: 'string' },
      runs: { type: 'string' },
      against: { type: 'string' },
      rounds: { type: 'string' },
    },
  });
  const { against, json, only, plots, quick } = values;
  if (against === undefined && values.rounds !== undefined) {
    throw new Error('--rounds goes with --against DIR; for the median of several runs, use --runs N');
  }
  if (against !== undefined && values.runs !== undefined) {
    throw new Error('--runs does not go with --against DIR; for more rounds, use --rounds N');
  }
  if (against !== undefined && plots !== undefined) {
    throw new Error('--plots does not go with --against DIR, which measures no curves');
  }
  return {
    quick,
    only,
    json,
    plots,
    runs: atLeast('--runs', 1, values.runs ?? '1'),
    against,
    rounds: values.rounds === undefined ? undefined : atLeast('--rounds', FEWEST_ROUNDS, values.rounds),
  };
}

/** The chosen ones in their own order; all of them if none is named. */
export function chosenBy<Named extends { readonly name: string }>(
  only: readonly string[],
  all: readonly Named[],
): readonly Named[] {
  const unknown = only.filter((name) => !all.some((each) => each.name === name));
  if (unknown.length > 0) {
    const known = all.map(({ name }) => name).join(', ');
    throw new Error(`--only ${unknown.join(' --only ')}: there is no such scenario; there are ${known}`);
  }
  return all.filter(({ name }) => only.length === 0 || only.includes(name));
}

function atLeast(option: string, least: number, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least) {
    throw new Error(`${option} ${text}: it is a whole number from ${least}`);
  }
  return number;
}
