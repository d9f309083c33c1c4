// What a scrape of /metrics says, as numbers: for tests of exact counts. The text is read by exposition.ts.

import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { readExposition, type Sample } from './exposition.ts';

export type Labels = Readonly<Record<string, string>>;

export class MetricSamples {
  readonly text: string;
  readonly #samples: readonly Sample[];

  constructor(text: string) {
    this.text = text;
    this.#samples = [...readExposition(text).values()].flatMap(({ samples }) => samples);
  }

  static async scrape({ adminAddress }: Instance): Promise<MetricSamples> {
    if (!adminAddress) throw new Error('the instance has no admin port');
    const response = await fetch(`http://${formatHostPort(adminAddress)}/metrics`);
    if (!response.ok) throw new Error(`/metrics answers ${response.status}`);
    return new MetricSamples(await response.text());
  }

  /** The sum of the series of this name that have these labels, among others; 0 if there are none. */
  sum(name: string, labels: Labels = {}): number {
    return this.#samples
      .filter((sample) => sample.name === name)
      .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** The values that this label has in the series of this name. */
  values(name: string, label: string): readonly string[] {
    const found = this.#samples.filter((sample) => sample.name === name).map(({ labels }) => labels[label]);
    return [...new Set(found.filter((value) => value !== undefined))].toSorted();
  }
}
