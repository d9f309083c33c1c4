// A logarithmic axis: the range that it spans, where a value lies on it, and which values are written beside it.

const STEPS = [1, 2, 5];
/** Makes a curve that is flat within the noise look flat. */
const LEAST_SPAN = 20;
/** With more decades than this, only powers of ten are written. */
const FEW_DECADES = 2.2;

export interface LogAxis {
  readonly least: number;
  readonly most: number;
  readonly ticks: readonly number[];
  /** 0 at `least`, 1 at `most`. */
  at(value: number): number;
}

/** Spans these values, all above 0, between steps of 1, 2 or 5, and at least a factor of some twenty. */
export function logAxis(values: readonly number[]): LogAxis {
  const [smallest, largest] = [Math.min(...values), Math.max(...values)];
  const span = largest / smallest;
  // This leaves room for the texts above and below the points.
  const room = Math.max(1.3, span ** 0.1, Math.sqrt(LEAST_SPAN / span));
  const least = stepBelow(smallest / room);
  const most = stepAbove(largest * room);
  return {
    least,
    most,
    ticks: ticks(least, most),
    at: (value) => Math.log(value / least) / Math.log(most / least),
  };
}

/** Spans exactly the measured values of n, with some room, and names them. */
export function axisOf(numbers: readonly number[]): LogAxis {
  const [smallest, largest] = [Math.min(...numbers), Math.max(...numbers)];
  const room = (largest / smallest) ** 0.06;
  const [least, most] = [smallest / room, largest * room];
  return {
    least,
    most,
    ticks: [...new Set(numbers)],
    at: (value) => Math.log(value / least) / Math.log(most / least),
  };
}

function ticks(least: number, most: number): readonly number[] {
  const steps = Math.log10(most / least) > FEW_DECADES ? [1] : STEPS;
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power++) {
    found.push(...steps.map((step) => Number(`${step}e${power}`)));
  }
  // Steps are powers of ten and their multiples, which aren't exact, so a little room is left.
  return found.filter((value) => value >= least * 0.999 && value <= most * 1.001);
}

function stepBelow(value: number): number {
  const power = Math.floor(Math.log10(value));
  const step = STEPS.findLast((each) => Number(`${each}e${power}`) <= value) ?? 1;
  return Number(`${step}e${power}`);
}

function stepAbove(value: number): number {
  const power = Math.floor(Math.log10(value));
  const step = STEPS.find((each) => Number(`${each}e${power}`) >= value);
  return step === undefined ? Number(`1e${power + 1}`) : Number(`${step}e${power}`);
}
