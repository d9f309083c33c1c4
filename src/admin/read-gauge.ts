// A gauge whose value is read at each scrape, and kept nowhere else.

import { Gauge, type Registry } from 'prom-client';

export function readGauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}
