// Reads what Prometheus scrapes: families with their types, series with their labels and values.

export interface Sample {
  /** That of the family, or with `_bucket`, `_sum`, `_count` behind it. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

export function readExposition(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family>();
  for (const part of text.split(/^(?=# HELP )/m)) {
    const [, name = '', help = ''] = /^# HELP (\S+) (.*)$/m.exec(part) ?? [];
    const [, type = ''] = /^# TYPE \S+ (\S+)$/m.exec(part) ?? [];
    const lines = part.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    if (name !== '') families.set(name, { name, help, type, samples: lines.map(readSample) });
  }
  return families;
}

function readSample(line: string): Sample {
  const [, name = '', labels = '', value = ''] = /^([^{\s]+)(?:\{(.*)\})? (\S+)$/s.exec(line) ?? [];
  if (name === '') throw new Error(`no sample: ${line}`);
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return {
    name,
    labels: Object.fromEntries(pairs.map(([, label = '', text = '']) => [label, unescaped(text)])),
    value: value === 'Nan' ? Number.NaN : Number(value.replace('Inf', 'Infinity')),
  };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
}

/** The values of the series of this name that have these labels. */
export function valuesOf(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): readonly number[] {
  const samples = readExposition(text).get(name)?.samples ?? [];
  return samples
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .map(({ value }) => value);
}
