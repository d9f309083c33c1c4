// Turns the rounds of two servers into ratios, and prints them for people. Owns when a difference is called one.
import { spreadText, written } from '../figure-table.ts';
import { type Figure, paired, type Spread } from '../figures.ts';
import type { Pair } from '../measured.ts';
import type { Reading } from './matches.ts';

/** What each side has read in one round: the same figures in the same order. */
export type Round = Pair<readonly Reading[]>;

const WIDTHS = [58, 4, 10, 10, 7, 13, 0] as const;

/** The medians of both sides, and the ratio this ÷ other of each round. The other is in the place of the floor. */
export function ratiosOf(scenario: string, rounds: readonly Round[]): readonly Figure[] {
  const [first] = rounds;
  if (!first) return [];
  return first.ours.map(({ name, unit, better }, index) => {
    const pairs = rounds.map(({ ours, floor }) => ({ ours: at(ours, index), floor: at(floor, index) }));
    return { scenario, name, unit, better, ...paired(pairs, ({ value }) => value) };
  });
}

export function ratioTableHead(rounds: number): string {
  return line(['', '', 'this', 'other', 'ratio', 'spread', `in ${rounds} rounds`]);
}

export function ratioTableLine(figure: Figure): string {
  const { name, unit, value, floor, ratio, spread, better } = figure;
  if (floor === undefined || ratio === undefined || spread === undefined)
    throw new Error(`${name} has no ratio`);
  return line([
    name,
    unit,
    written(value),
    written(floor),
    Number.isNaN(ratio) ? '' : ratio.toFixed(2),
    Number.isNaN(spread.least) ? '' : spreadText(spread),
    verdict(spread, better),
  ]);
}

/** A difference is one if every round has it. What is 0 on both sides has no ratio. */
export function verdict({ least, most }: Spread, better: Figure['better']): string {
  if (least > 1) return better === 'less' ? 'worse in each round' : 'better in each round';
  if (most < 1) return better === 'less' ? 'better in each round' : 'worse in each round';
  return 'no clear difference';
}

function at(readings: readonly Reading[], index: number): Reading {
  const reading = readings[index];
  if (!reading) throw new Error('a round without one of its figures');
  return reading;
}

function line(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => {
    const width = WIDTHS[index] ?? 0;
    return index < 2 || index === WIDTHS.length - 1 ? cell.padEnd(width) : cell.padStart(width);
  });
  return `  ${padded.join(' ')}`.trimEnd();
}
