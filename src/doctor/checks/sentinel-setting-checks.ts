// Do the settings of the Sentinels fit each other, and the TTLs that leases have?

import { formatHostPort, type HostPort } from '../../domain/host-port.ts';
import { smallestAdvisableTtlMs } from '../../domain/safety.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import type { Check, Examined } from '../facts.ts';
import { sentinelSetting } from '../redis-cli-text.ts';
import { spanText } from './node-judgements.ts';
import { countOf, majorityOf, viewsOf } from './sentinel-checks.ts';

/** docs/deployment.md, "Settings of Sentinel". */
const DOWN_AFTER_MS = 5_000;
const SHORTEST_DOWN_AFTER_MS = 2_000;
const FAILOVER_TIMEOUT_MS = 60_000;

export const SENTINEL_SETTING_CHECKS: readonly Check[] = [
  {
    name: 'quorum-setting',
    about: 'The quorum is a majority, and the same at all Sentinels.',
    judge: quorumSetting,
  },
  {
    name: 'down-after',
    about:
      '`down-after-milliseconds` is the same everywhere, not below 2 s, and short enough for `locks.default_ttl`.',
    judge: downAfter,
  },
  {
    name: 'failover-timeout',
    about: '`failover-timeout` is 60 s at most.',
    judge: failoverTimeout,
  },
  {
    name: 'parallel-syncs',
    about: '`parallel-syncs` is 1.',
    judge: parallelSyncs,
  },
];

interface Told {
  readonly value: number;
  readonly addresses: readonly HostPort[];
  /** What each says, when they differ. */
  readonly difference: string;
}

/** The value at the first Sentinel that answered. */
function toldBy(examined: Examined, field: string): Told | undefined {
  const views = viewsOf(examined);
  const values = views.map(({ primary }) => Number(primary.get(field)));
  const [value] = values;
  if (value === undefined || Number.isNaN(value)) return undefined;
  const each = views.map(({ address }, index) => `${formatHostPort(address)}: ${values[index]}`);
  return {
    value,
    addresses: views.map(({ address }) => address),
    difference: values.every((other) => other === value) ? '' : each.join(', '),
  };
}

function differs(examined: Examined, name: string, told: Told, advised: number): Judgement {
  return warning('deployment', {
    seen: `${name} differs: ${told.difference}`,
    why: 'each Sentinel acts by its own: what a failover does depends on which one leads it',
    fix: sentinelSetting(examined.redis, told.addresses, name, advised),
  });
}

function quorumSetting(examined: Examined): readonly Judgement[] {
  const told = toldBy(examined, 'quorum');
  if (!told) return [];
  const [count, quorum] = [countOf(examined), told.value];
  const advised = majorityOf(count);
  if (told.difference !== '') return [differs(examined, 'quorum', told, advised)];
  const seen = `the quorum is ${quorum} of ${count}`;
  const fix = sentinelSetting(examined.redis, told.addresses, 'quorum', advised);
  if (quorum > count) {
    return [error('deployment', { seen, why: 'no failover can be decided', fix })];
  }
  if (quorum > advised) {
    const why = 'a failover needs more Sentinels than a majority: fewer may be away when the primary dies';
    return [warning('deployment', { seen, why, fix })];
  }
  if (quorum < advised) {
    const why =
      "a minority that doesn't see the primary tries to replace it; the others refuse, but each try costs time";
    return [warning('deployment', { seen, why, fix })];
  }
  return [ok('deployment', seen)];
}

function downAfter(examined: Examined): readonly Judgement[] {
  const told = toldBy(examined, 'down-after-milliseconds');
  if (!told) return [];
  const { redis, config } = examined;
  if (told.difference !== '') return [differs(examined, 'down-after-milliseconds', told, DOWN_AFTER_MS)];
  const ms = told.value;
  const { defaultTtlMs, maxTtlMs } = config.locks;
  const advisable = smallestAdvisableTtlMs(ms);
  const seen = `down-after-milliseconds is ${ms}`;
  const findings: Judgement[] = [];
  if (ms < SHORTEST_DOWN_AFTER_MS) {
    findings.push(
      warning('deployment', {
        seen,
        why: 'a pause of the machine becomes a failover; Sentinel pings once a second, so a promotion may even be followed by another',
        fix: sentinelSetting(redis, told.addresses, 'down-after-milliseconds', DOWN_AFTER_MS),
      }),
    );
  }
  if (defaultTtlMs < advisable) {
    const raise =
      advisable <= maxTtlMs
        ? `set locks.default_ttl: ${advisable}ms`
        : `set locks.default_ttl to ${advisable}ms, and locks.max_ttl to that at least (docs/data-model.md, "Changing max_ttl")`;
    const lower = sentinelSetting(redis, told.addresses, 'down-after-milliseconds', DOWN_AFTER_MS);
    findings.push(
      warning('locks.default_ttl', {
        seen: `locks.default_ttl is ${spanText(defaultTtlMs)}, and ${seen}`,
        why: `a lease needs a TTL of ${spanText(advisable)} to survive a failover that takes so long to begin`,
        fix: ms > DOWN_AFTER_MS ? `${raise}; or ${lower}` : raise,
      }),
    );
  }
  return findings.length > 0
    ? findings
    : [ok('deployment', `${seen}; leases from ${spanText(advisable)} on survive a failover`)];
}

function failoverTimeout(examined: Examined): readonly Judgement[] {
  const told = toldBy(examined, 'failover-timeout');
  if (!told) return [];
  if (told.difference !== '') return [differs(examined, 'failover-timeout', told, FAILOVER_TIMEOUT_MS)];
  const seen = `failover-timeout is ${told.value}`;
  if (told.value <= FAILOVER_TIMEOUT_MS) return [ok('deployment', seen)];
  return [
    warning('deployment', {
      seen,
      why: `after a failover that didn't succeed, the next try comes after twice this time, ${spanText(2 * told.value)}`,
      fix: sentinelSetting(examined.redis, told.addresses, 'failover-timeout', FAILOVER_TIMEOUT_MS),
    }),
  ];
}

function parallelSyncs(examined: Examined): readonly Judgement[] {
  const told = toldBy(examined, 'parallel-syncs');
  if (!told) return [];
  if (told.difference !== '') return [differs(examined, 'parallel-syncs', told, 1)];
  const seen = `parallel-syncs is ${told.value}`;
  if (told.value <= 1) return [ok('deployment', seen)];
  return [
    info('deployment', {
      seen,
      why: 'several replicas turn to a new primary at once: for a moment, none of them is complete',
      fix: sentinelSetting(examined.redis, told.addresses, 'parallel-syncs', 1),
    }),
  ];
}
