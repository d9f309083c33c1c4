// Figures scaled to another machine by a calibration. Only CPU is: bytes are the same everywhere.

import type { Calibration } from './calibration.ts';
import type { CallCost, CallKind, UnitFigures } from './unit-costs.ts';

export interface Scale {
  readonly calibration: Calibration;
  /** How many times as much CPU Redis needs there as where the figures were measured. */
  readonly redisCpu: number;
  /** The same for a server, if it runs on the machine that measured. */
  readonly serverCpu: number;
}

export function scaled(figures: UnitFigures, { redisCpu, serverCpu }: Scale): UnitFigures {
  const one = (cost: CallCost): CallCost => ({
    ...cost,
    redisCpuUs: cost.redisCpuUs * redisCpu,
    serverCpuUs: cost.serverCpuUs * serverCpu,
  });
  const calls = Object.entries(figures.calls).map(([kind, cost]) => [kind, one(cost)] as const);
  return {
    ...figures,
    calls: Object.fromEntries(calls) as Record<CallKind, CallCost>, // the same kinds as before
    renewal: one(figures.renewal),
    renewalBatch: one(figures.renewalBatch),
    look: one(figures.look),
    takeOver: one(figures.takeOver),
    idle: one(figures.idle),
    waiting: one(figures.waiting),
  };
}
