// docs/metrics.md against a scrape of a real deployment, both ways: every metric of the page is there with its type and
// its labels, and every one that is there is on the page. What the values mean is in the tests of those who count.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { type Family, readExposition } from '../support/exposition.ts';
import { hold } from '../support/lease-stream.ts';
import { MonitoredInstance } from '../support/monitored-instance.ts';
import { OperationClient } from '../support/operation-client.ts';
import { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { clusterEnvironment, duration, type TestClient } from '../support/test-instance.ts';

/** The sections of the page whose metrics this deployment must show. */
const SECTIONS = [
  'Calls and the store',
  'Locks',
  'Operations',
  'Safety',
  'The deployment',
  'Redis',
  'Sentinel',
];

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
/** Labels that come from the form of the text, or from the process. */
const TECHNICAL = ['le', 'worker'];

interface Row {
  readonly section: string;
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** The rows of all tables of the page. */
function catalogue(): readonly Row[] {
  return PAGE.split(/^## /m).flatMap((part) => {
    const [section = ''] = part.split('\n');
    const rows = part.split('\n').filter((line) => line.startsWith('| `leasehold_'));
    return rows.map((line) => {
      const [name = '', type = '', labels = ''] = line.slice(2).split(' | ');
      return {
        section,
        name: name.replaceAll('`', ''),
        type,
        labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).sort(),
      };
    });
  });
}

function labelsOf({ samples }: Family): readonly string[] {
  const all = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
  return [...all].filter((label) => !TECHNICAL.includes(label)).sort();
}

let cluster: SentinelCluster;
let monitored: MonitoredInstance;
let families: ReadonlyMap<string, Family>;

beforeAll(async () => {
  cluster = await SentinelCluster.start({ masterName: 'mymaster' });
  monitored = await MonitoredInstance.start({
    ...clusterEnvironment(cluster, 'mymaster'),
    LEASEHOLD_MONITORING_GROUP_BY: '/',
    LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
  });
  await monitored.usable();
  await useLocks(monitored.client);
  await useOperations(monitored.instance);
  await eventually(
    async () => {
      families = readExposition(await monitored.instance.metricsText());
      const missing = catalogue()
        .filter(({ section }) => SECTIONS.includes(section))
        .filter(({ name }) => (families.get(name)?.samples ?? []).length === 0);
      if (missing.length > 0) throw new Error(`no series of ${missing.map(({ name }) => name).join(', ')}`);
      return true;
    },
    { what: 'every metric of the page in the scrape', withinMs: 30_000, everyMs: 200 },
  );
});

/** Leaves a lease held; others end in every way that labels a series. */
async function useLocks(client: TestClient): Promise<void> {
  await client.acquire({ resource: 'team/held' });
  const leaseId = randomUUID();
  const resource = 'team/contended';
  const stream = hold(client, { resource, leaseId });
  await stream.event('granted');
  const waiting = client.acquire({ resource }, { $case: 'waitTimeout', value: duration(10_000) });
  await eventually(async () => (await client.getLock(resource)).lock?.waiterCount === 1, {
    what: 'a waiter',
    withinMs: 10_000,
  });
  await client.release({ resource, leaseId });
  await waiting;
  const lost = hold(client, { resource: 'team/lost' });
  await lost.event('granted');
  await client.forceRelease({ resource: 'team/lost', immediate: true });
  await lost.ended();
}

/** Leaves an operation pending; another one was retried, and is done. */
async function useOperations({ address }: Instance): Promise<void> {
  const operations = new OperationClient(address);
  const started = await operations.started({ resource: 'a', operationId: '1' });
  await operations.yield(started);
  await operations.complete(await operations.claimed({}));
  await operations.begin({ resource: 'a', operationId: '2' });
  operations.close();
}

afterAll(async () => {
  await monitored?.stop();
  await cluster?.stop();
});

describe('the catalogue of metrics', () => {
  test('the page has the sections that are compared, and each metric once', () => {
    const rows = catalogue();
    for (const section of SECTIONS) expect(rows.filter((row) => row.section === section)).not.toHaveLength(0);
    const names = rows.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test.each(SECTIONS)(
    'every metric of the section "%s" is scraped with the type and labels of the page',
    (section) => {
      const rows = catalogue().filter((row) => row.section === section);
      const scraped = rows.map(({ name }) => {
        const family = families.get(name);
        return { section, name, type: family?.type, labels: family && labelsOf(family) };
      });
      expect(scraped).toEqual(rows);
    },
  );

  test('every metric of a scrape is on the page', () => {
    const known = new Set(catalogue().map(({ name }) => name));
    const own = [...families.keys()].filter((name) => !/^(process|nodejs)_/.test(name));
    expect(own.length).toBeGreaterThan(60);
    expect(own.filter((name) => !known.has(name))).toEqual([]);
  });

  test('the values of a scrape are numbers that fit their units', () => {
    const wrong = [...families.values()]
      .flatMap(({ samples }) => samples)
      .filter(({ name, value }) => {
        if (!Number.isFinite(value) || value < 0) return true;
        if (/_timestamp_seconds$/.test(name)) return value !== 0 && value < 1.6e9;
        if (/_(up|ok|ready|usable)$/.test(name)) return ![0, 1].includes(value);
        return false;
      });
    expect(wrong).toEqual([]);
  });
});
