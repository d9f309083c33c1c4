// The arithmetic of `leasehold capacity`, on the figures that are shipped: what a load needs grows with it, the multiple
// that is named is where a resource is full, and renewals are counted as the server makes them.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { writeUnitFigures } from '../../bench/unit-figures-file.ts';
import { planFor } from '../../src/capacity/capacity-plan.ts';
import {
  DEFAULT_DEPLOYMENT,
  type Load,
  looksPerSecond,
  renewalIntervalMs,
  renewCallsPerSecond,
  streamRenewalsPerSecond,
  times,
} from '../../src/capacity/load.ts';
import { scaled } from '../../src/capacity/scale.ts';
import { tableBytes } from '../../src/capacity/unit-costs.ts';
import { UNIT_FIGURES } from '../../src/capacity/unit-figures.ts';

const LOAD: Load = {
  locks: 20_000,
  mode: 'exclusive',
  holdStreams: 20_000,
  ratePerSecond: 300,
  waitedShare: 0.5,
  ttlMs: 20_000,
  waiters: 500,
  queueLength: 10,
  operations: 50_000,
  operationsPerSecond: 20,
  payloadBytes: 2_048,
  nameBytes: 32,
  ownerBytes: 24,
  metadataBytes: 0,
  clients: 40,
};

const plan = (load: Partial<Load> = {}) => planFor({ ...LOAD, ...load }, DEFAULT_DEPLOYMENT, UNIT_FIGURES);

test('Each resource is full at the multiple of the load that the plan names, and not before', () => {
  const { resources } = plan();
  expect(resources).toHaveLength(6);
  for (const { name, fullAtTimes } of resources) {
    const at = (factor: number) => {
      const grown = planFor(times(LOAD, factor), DEFAULT_DEPLOYMENT, UNIT_FIGURES);
      const same = grown.resources.find((resource) => resource.name === name);
      return Number(same?.needed) / Number(same?.usable);
    };
    expect([name, at(fullAtTimes * 0.99) <= 1]).toEqual([name, true]);
    expect([name, at(fullAtTimes * 1.01) > 1]).toEqual([name, true]);
  }
  const order = resources.map(({ fullAtTimes }) => fullAtTimes);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

test('A load that needs more than there is does not fit, and says of which resource', () => {
  const huge = plan({ locks: 1e9, holdStreams: 1e9 });
  expect(huge.fits).toBe(false);
  const lacking = huge.resources.filter(({ needed, usable }) => needed > usable).map(({ name }) => name);
  expect(lacking).toContain('memory');
  expect(lacking).toContain('CPU');
  expect(huge.resources[0]?.fullAtTimes).toBeLessThan(1);
  const nothing = plan({
    locks: 0,
    holdStreams: 0,
    ratePerSecond: 0,
    waiters: 0,
    operations: 0,
    operationsPerSecond: 0,
  });
  expect(nothing.fits).toBe(true);
});

test('Longer texts, payloads, queues and other modes need more, each by its own figure', () => {
  const base = plan().redis.data.total;
  for (const more of [
    { nameBytes: 100 },
    { ownerBytes: 100 },
    { metadataBytes: 100 },
    { payloadBytes: 20_000 },
    { waiters: 5_000 },
    { queueLength: 1 },
    { operations: 60_000 },
  ]) {
    expect([more, plan(more).redis.data.total > base]).toEqual([more, true]);
  }
  const perByte = (plan({ nameBytes: 132 }).redis.data.locks - plan().redis.data.locks) / LOAD.locks / 100;
  expect(perByte).toBeCloseTo(UNIT_FIGURES.memory.lockPerNameByte, 3);
  // Beyond 480 bytes the record is no longer packed, which costs a step.
  const step = plan({ metadataBytes: 480 }).redis.data.locks - plan({ metadataBytes: 440 }).redis.data.locks;
  expect(step / LOAD.locks).toBeGreaterThan(UNIT_FIGURES.memory.unpackedLock);
});

test("A lease is renewed after nearly a quarter of its TTL, at least every 12 s, and by calls only past a quarter's hold", () => {
  expect(renewalIntervalMs(20_000)).toBeCloseTo(4_700, 0);
  expect(renewalIntervalMs(3_600_000)).toBeCloseTo(11_280, 0);
  expect(renewalIntervalMs(100)).toBe(200);
  // Clients open their streams anew after 8 to 10 s: with it, 1.3 more by the server, or none.
  expect(streamRenewalsPerSecond({ ...LOAD, holdStreams: 900, ttlMs: 20_000 })).toBeCloseTo(230);
  expect(streamRenewalsPerSecond({ ...LOAD, holdStreams: 900, ttlMs: 3_600_000 })).toBeCloseTo(100);
  // Held for 10 s each by Little's law; the first call of Renew comes after 5 s, the second one would with the release.
  expect(renewCallsPerSecond({ ...LOAD, holdStreams: 0, locks: 1_000, ratePerSecond: 100 })).toBeCloseTo(100);
  expect(renewCallsPerSecond({ ...LOAD, holdStreams: 0, locks: 100, ratePerSecond: 100 })).toBe(0);
  // Written down with the last renewal, which was 2.35 s before on average.
  expect(looksPerSecond({ ...LOAD, locks: 1_765, ttlMs: 20_000, ratePerSecond: 0 })).toBeCloseTo(100);
  expect(looksPerSecond({ ...LOAD, locks: 1_000, ttlMs: 20_000, ratePerSecond: 100 })).toBe(0);
});

test('More replicas cost network and nothing else; a calibration changes CPU and nothing else', () => {
  const five = planFor(LOAD, { ...DEFAULT_DEPLOYMENT, replicas: 5 }, UNIT_FIGURES);
  expect(five.redis.replicationBytesPerSecond).toBeCloseTo(plan().redis.replicationBytesPerSecond * 2.5, 3);
  expect(five.redis.data).toEqual(plan().redis.data);
  const calibration = { redisCpuUs: 1, ownCpuUs: 1, calls: 1, tookMs: 1, prefix: '' };
  const slower = planFor(
    LOAD,
    DEFAULT_DEPLOYMENT,
    scaled(UNIT_FIGURES, { calibration, redisCpu: 2, serverCpu: 1 }),
  );
  expect(slower.redis.cpuShare).toBeCloseTo(2 * plan().redis.cpuShare, 6);
  expect({ ...slower.redis, cpuShare: 0 }).toEqual({ ...plan().redis, cpuShare: 0 });
});

test('Servers are as many as CPU, memory or the limits of one ask for, and one to spare', () => {
  expect(plan({ holdStreams: 10, locks: 10, ratePerSecond: 1 }).servers).toMatchObject({
    processes: 2,
    because: 'spare',
  });
  const kept = plan({ locks: 1_000_000, holdStreams: 1_000_000, ttlMs: 3_600_000, ratePerSecond: 0 });
  expect(kept.servers.processes).toBeGreaterThan(5);
  const { servers } = plan({ ratePerSecond: 50_000, waitedShare: 0 });
  expect(servers.because).toBe('CPU');
  expect(servers.processes - 1).toBeGreaterThanOrEqual(servers.cpuCores / 0.7 - 1);
});

test('The tables of Redis double when they are full', () => {
  expect([0, 1, 4, 5, 1_024, 1_025].map(tableBytes)).toEqual([0, 32, 32, 64, 8_192, 16_384]);
});

test('The shipped figures are complete, and the benchmark writes their file from a full run alone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-figures-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'written.ts');
  const { measured, ...figures } = UNIT_FIGURES;
  const flat = flattened(figures);
  for (const [name, value] of flat)
    expect([name, Number.isFinite(value) && value >= 0]).toEqual([name, true]);
  const report = {
    ...measured,
    quick: false,
    figures: flat.map(([name, value]) => ({
      scenario: 'units',
      name,
      unit: '',
      value,
      better: 'less' as const,
    })),
  };
  expect(writeUnitFigures({ ...report, quick: true }, file)).toBe(false);
  expect(writeUnitFigures({ ...report, figures: [] }, file)).toBe(false);
  expect(writeUnitFigures(report, file)).toBe(true);
  const shipped = readFileSync(join(import.meta.dirname, '../../src/capacity/unit-figures.ts'), 'utf8');
  expect(readFileSync(file, 'utf8')).toBe(shipped);
});

function flattened(nested: object, prefix = ''): [name: string, value: number][] {
  return Object.entries(nested).flatMap(([name, value]): [string, number][] =>
    typeof value === 'object' ? flattened(value, `${prefix}${name}.`) : [[`${prefix}${name}`, value]],
  );
}
