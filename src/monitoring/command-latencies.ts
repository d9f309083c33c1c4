// The latencies that Redis keeps of its commands (INFO latencystats), by families, so that the number of series doesn't
// grow with the commands that somebody runs.

export type Family = 'scripts' | 'replication' | 'pubsub' | 'other';

/** Percentiles can't be added up: this is the highest of the family's commands. */
export interface FamilyLatency {
  readonly family: Family;
  /** From 0 to 1, such as '0.99'. */
  readonly quantile: string;
  readonly seconds: number;
}

const FAMILIES: readonly (readonly [Family, RegExp])[] = [
  ['scripts', /^(eval|evalsha|fcall)(_ro)?$/],
  ['replication', /^(replconf|psync|sync|wait|waitaof)$/],
  ['pubsub', /^[ps]?(un)?subscribe$|^s?publish$|^pubsub(\||$)/],
];
/** Redis is configured with them, and each is a series of every family and node. */
const MOST_QUANTILES = 10;
const LINE = /^latency_percentiles_usec_(.+)$/;

/** @param info the fields of INFO latencystats. None where Redis doesn't track latencies. */
export function familyLatencies(info: ReadonlyMap<string, string>): readonly FamilyLatency[] {
  const highest = new Map<Family, Map<string, number>>();
  for (const [name, text] of info) {
    const [, command] = LINE.exec(name) ?? [];
    if (command === undefined) continue;
    const family = familyOf(command);
    const quantiles = highest.get(family) ?? new Map<string, number>();
    highest.set(family, quantiles);
    for (const part of text.split(',')) {
      const [, percentile, micros] = /^p([\d.]+)=([\d.]+)$/.exec(part) ?? [];
      if (percentile === undefined) continue;
      if (quantiles.size >= MOST_QUANTILES) continue;
      const quantile = String(Number((Number(percentile) / 100).toPrecision(12)));
      quantiles.set(quantile, Math.max(quantiles.get(quantile) ?? 0, Number(micros) / 1e6));
    }
  }
  return [...highest].flatMap(([family, quantiles]) =>
    [...quantiles].map(([quantile, seconds]): FamilyLatency => ({ family, quantile, seconds })),
  );
}

function familyOf(command: string): Family {
  return FAMILIES.find(([, names]) => names.test(command.toLowerCase()))?.[0] ?? 'other';
}
