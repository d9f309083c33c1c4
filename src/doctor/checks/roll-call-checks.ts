// Can a roll call end the next quarantine early: does the configuration fit what the deployment has recorded, do all
// registered instances live, and would one of them survive the machine of the primary?

import { keysFor } from '../../store/redis/keys.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, seenOf } from '../facts.ts';
import { masterNameOf, redisCli, sentinelAdminCli } from '../redis-cli-text.ts';
import { spanText } from './node-judgements.ts';

/** An instance ticks every second. */
const SILENT_MS = 5_000;

export const ROLL_CALL_CHECKS: readonly Check[] = [
  {
    name: 'roll-call',
    about: '`redis.roll_call` is on, and so it is in what the deployment has recorded.',
    judge: rollCall,
  },
  {
    name: 'instances',
    about: 'Every instance that a roll call would wait for lives.',
    judge: instances,
  },
  {
    name: 'placing',
    about: 'Not all instances are on the machine of the primary, as far as names tell.',
    judge: placing,
  },
];

function rollCall({ redis, facts }: Examined): readonly Judgement[] {
  const recorded = seenOf(facts.meta)?.get('roll_call');
  const subject = 'redis.roll_call';
  const own = redis.rollCall;
  if (redis.quarantine === 'off') return []; // the check about the quarantine says all
  if (recorded === 'on' && own === 'off') {
    return [
      error(subject, {
        seen: `the configuration says off, and the deployment has on (${keysFor(redis.keyPrefix).meta})`,
        why: 'an instance without a roll call refuses to serve beside others with one',
        fix: 'set redis.roll_call: on (LEASEHOLD_REDIS_ROLL_CALL=on), or stop all instances in order first',
      }),
    ];
  }
  if (recorded === 'off' && own === 'on') {
    return [
      warning(subject, {
        seen: `the configuration says on, and the deployment has off (${keysFor(redis.keyPrefix).meta})`,
        why: 'the first instance with on costs one full quarantine, and those with off stop serving',
        fix: 'set redis.roll_call: on for all instances, as docs/configuration.md ("Roll call") says',
      }),
    ];
  }
  if (own === 'on') return [ok(subject, 'it is on')];
  return [
    info(subject, {
      seen: 'redis.roll_call is off',
      why: 'after each failover nothing new is granted for max_ttl + 4 s, also while all instances live',
      fix: 'with several instances set redis.roll_call: on, as docs/configuration.md ("Roll call") says',
    }),
  ];
}

interface Entry {
  readonly id: string;
  /** On the lease clock, in microseconds. */
  readonly seen: number;
  readonly host: string;
}

function entriesOf({ facts }: Examined): readonly Entry[] {
  return [...(seenOf(facts.instances) ?? [])].map(([id, text]) => {
    const [seen = '', , , , host = ''] = text.split(' ');
    return { id, seen: Number(seen), host };
  });
}

function instances(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  const clock = Number(seenOf(facts.meta)?.get('clock'));
  const { primary } = facts;
  if (!(clock > 0) || !primary) return [];
  const { bucket } = keysFor(redis.keyPrefix);
  return entriesOf(examined).map(({ id, seen, host }) => {
    const subject = `instance ${id}`;
    const silentMs = (clock - seen) / 1_000;
    if (silentMs <= SILENT_MS) return ok(subject, `it was seen just now, on ${host}`);
    return warning(subject, {
      seen: `it is registered on ${host}, and was last seen ${spanText(silentMs)} ago`,
      why: 'a failover now would wait for it, and its quarantine last its whole time',
      fix: `if it lives, give it back its way to Redis; if it died, its entry goes by itself within a minute or two: ${redisCli(redis, primary, `HGET '${bucket}instances' ${id}`)}`,
    });
  });
}

function placing(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  const entries = entriesOf(examined);
  const { primary } = facts;
  if (entries.length === 0 || !primary || redis.kind !== 'sentinel') return [];
  const machine = shortName(primary.host);
  const beside = entries.filter(({ host }) => shortName(host) === machine);
  if (beside.length < entries.length) return [ok('deployment', 'an instance is on another machine')];
  const [sentinel] = redis.sentinels;
  return [
    info('deployment', {
      seen: `every instance is on the machine of the primary, ${primary.host}`,
      why: 'if that machine dies, nobody is left to answer the roll call, or to serve',
      fix: `run an instance elsewhere, or let another machine have the primary${sentinel ? `: ${sentinelAdminCli(redis, sentinel, `SENTINEL FAILOVER ${masterNameOf(redis)}`)}` : ''}`,
    }),
  ];
}

/** Addresses stay whole. */
function shortName(host: string): string {
  const name = host.toLowerCase();
  return /^[\d.]+$|:/.test(name) ? name : name.replace(/\..*$/, '');
}
