// Prints figures as lines of a table for people.
import { type Budget, budgeted, type Figure, isMet, type Spread } from './figures.ts';

const WIDTHS = [54, 9, 11, 11, 7, 13, 22] as const;

export function tableHead(): string {
  return line(['', '', 'measured', 'floor', 'ratio', 'spread', 'budget']);
}

export function tableLine(figure: Figure): string {
  const { name, unit, value, floor, ratio, spread, budget } = figure;
  const met = isMet(figure);
  return line([
    name,
    unit,
    written(value),
    floor === undefined ? '' : written(floor),
    ratio === undefined ? '' : ratio.toFixed(2),
    spread === undefined ? '' : spreadText(spread),
    budget ? `${budgetText(budget, unit)}: ${met ? 'met' : `NOT MET (${written(budgeted(figure))})`}` : '',
  ]);
}

function line(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => {
    const width = WIDTHS[index] ?? 0;
    return index < 2 || index === WIDTHS.length - 1 ? cell.padEnd(width) : cell.padStart(width);
  });
  return `  ${padded.join(' ')}`.trimEnd();
}

/** The least and the most of several ratios. */
export function spreadText({ least, most }: Spread): string {
  return `${least.toFixed(2)} … ${most.toFixed(2)}`;
}

function budgetText({ of, atMost, atLeast }: Budget, unit: string): string {
  const bound = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  if (of === 'ratio') return `${bound} x floor`;
  return of === 'excess' ? `${bound} ${unit} above floor` : `${bound} ${unit}`;
}

/** '–' for what could not be measured. */
export function written(value: number): string {
  if (Number.isNaN(value)) return '–';
  const digits = Math.abs(value) >= 1_000 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toFixed(digits);
}
