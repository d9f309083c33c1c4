// Does the configuration fit what the deployment has recorded about itself, and is the deployment one that can fail
// over at all?

import { formatHostPort } from '../../domain/host-port.ts';
import { FORMER_SCHEMA, SCHEMA_VERSION } from '../../domain/safety.ts';
import { keysFor } from '../../store/redis/keys.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, seenOf } from '../facts.ts';
import { spanText } from './node-judgements.ts';

export const DEPLOYMENT_CHECKS: readonly Check[] = [
  {
    name: 'sentinels-in-use',
    about: 'Redis is watched by Sentinels.',
    judge: sentinelsInUse,
  },
  {
    name: 'max-ttl',
    about: '`locks.max_ttl` is the one that the deployment has recorded; all instances need the same.',
    judge: maxTtl,
  },
  {
    name: 'key-layout',
    about: 'The layout of the keys is that of this version.',
    judge: keyLayout,
  },
  {
    name: 'bootstrap',
    about: '`redis.bootstrap: new` is gone once the deployment has data.',
    judge: bootstrap,
  },
  {
    name: 'quarantine',
    about: '`redis.quarantine` is on.',
    judge: ({ redis }) =>
      redis.quarantine === 'on'
        ? [ok('redis.quarantine', 'it is on')]
        : [
            warning('redis.quarantine', {
              seen: 'redis.quarantine is off',
              why: 'after a failover, two holders can have one lock at once',
              fix: 'set redis.quarantine: on, unless every holder sends its fencing token where it is checked',
            }),
          ],
  },
];

function sentinelsInUse({ redis }: Examined): readonly Judgement[] {
  if (redis.kind === 'sentinel') return [ok('redis.failover_cluster', 'Sentinels watch Redis')];
  return [
    warning('redis.failover_cluster', {
      seen: `redis.address names a single Redis, ${formatHostPort(redis.address)}`,
      why: 'when it is gone, nobody takes its place: no lock is granted or renewed until it is back',
      fix: 'run a primary, replicas and three Sentinels (docs/deployment.md), then set redis.failover_cluster: true',
    }),
  ];
}

function maxTtl({ config, redis, facts }: Examined): readonly Judgement[] {
  const recorded = Number(seenOf(facts.meta)?.get('max_ttl')) / 1_000;
  if (!(recorded > 0)) return [];
  const own = config.locks.maxTtlMs;
  const subject = 'locks.max_ttl';
  if (recorded === own) return [ok(subject, `the deployment has the same: ${spanText(own)}`)];
  return [
    error(subject, {
      seen: `the configuration says ${spanText(own)}, and the deployment has ${spanText(recorded)} (${keysFor(redis.keyPrefix).meta})`,
      why: 'an instance with another value than the others refuses to serve',
      fix: `set locks.max_ttl: ${recorded}ms, or change the deployment's as docs/data-model.md ("Changing max_ttl") says`,
    }),
  ];
}

function keyLayout({ facts }: Examined): readonly Judgement[] {
  const recorded = Number(seenOf(facts.meta)?.get('schema'));
  if (!(recorded > 0)) return [];
  const subject = 'redis.key_prefix';
  if (recorded === SCHEMA_VERSION) return [ok(subject, `the keys have the layout ${recorded}`)];
  const seen = `the keys have the layout ${recorded}, and this version works with ${SCHEMA_VERSION}`;
  if (recorded === FORMER_SCHEMA) {
    return [
      info(subject, {
        seen,
        why: 'the first instance of this version that connects upgrades them, which costs one quarantine',
        fix: 'upgrade as docs/deployment.md ("Upgrading") says',
      }),
    ];
  }
  return [
    error(subject, {
      seen,
      why: 'an instance of this version refuses to serve',
      fix: 'use the version of the other instances, or another redis.key_prefix',
    }),
  ];
}

function bootstrap({ redis, facts }: Examined): readonly Judgement[] {
  const meta = seenOf(facts.meta);
  if (!meta) return [];
  const subject = 'redis.bootstrap';
  if (redis.bootstrap === 'wait') return [ok(subject, 'an empty Redis counts as one that has lost its data')];
  if (meta.size === 0) {
    return [
      info(subject, {
        seen: 'redis.bootstrap is new, and the deployment has no data yet',
        why: 'the first start grants at once; afterwards it must not stay',
        fix: 'set redis.bootstrap: wait after the first start',
      }),
    ];
  }
  return [
    warning(subject, {
      seen: 'redis.bootstrap is still new, although the deployment has data',
      why: 'if Redis loses its data, an instance that starts then grants locks that others still hold',
      fix: 'set redis.bootstrap: wait (LEASEHOLD_REDIS_BOOTSTRAP=wait), and restart the instances one after the other',
    }),
  ];
}
