// Durations as people write them in a configuration or on the command line: a whole number and a unit. A number without
// a unit is refused, because one reader takes it for seconds and the next for milliseconds. The client commands load
// this file, so it stays free of the schemas.

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** @returns milliseconds, or undefined when the text isn't a whole number followed by ms, s, m or h. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^([0-9]{1,12})(ms|s|m|h)$/.exec(text);
  if (match === null) return undefined;
  const [, count, unit] = match;
  if (unit !== 'ms' && unit !== 's' && unit !== 'm' && unit !== 'h') return undefined;
  return Number(count) * UNIT_MS[unit];
}
