// Can the nodes be reached from here, at the addresses that everybody is told?

import { formatHostPort, type HostPort } from '../../domain/host-port.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import type { Check, Examined, RedisNodeFacts } from '../facts.ts';
import { masterNameOf, redisCli, sentinelCli } from '../redis-cli-text.ts';
import { spanText } from './node-judgements.ts';

export const REACH_CHECKS: readonly Check[] = [
  {
    name: 'reach-sentinels',
    about: 'Each Sentinel of `redis.address` answers from here, and knows the primary.',
    judge: reachSentinels,
  },
  {
    name: 'reach-redis',
    about: 'Each Redis node answers from here, at the address that the Sentinels announce.',
    judge: reachRedis,
  },
  {
    name: 'reach-announced-sentinels',
    about: 'So does each Sentinel that only the other Sentinels name.',
    judge: reachAnnounced,
  },
];

function reachSentinels({ redis, facts }: Examined): readonly Judgement[] {
  const silent = facts.sentinels.filter(({ view }) => 'unseen' in view);
  const needed = Math.floor(facts.sentinels.length / 2) + 1;
  const isMajorityLost = facts.sentinels.length - silent.length < needed;
  return facts.sentinels.map(({ address, view }) => {
    const subject = formatHostPort(address);
    if (!('unseen' in view)) return ok(subject, 'the Sentinel answers');
    const told = {
      seen: `the Sentinel can't be asked: ${view.unseen}`,
      why: isMajorityLost
        ? `without a majority of the Sentinels (${needed} of ${facts.sentinels.length}) nobody can confirm the primary: Leasehold does not serve`
        : 'its vote is missing; when more Sentinels are lost, Leasehold does not serve',
      fix: fixForSilent(view.unseen, sentinelCli(redis, address, 'PING'), masterNameOf(redis)),
    };
    return isMajorityLost ? error(subject, told) : warning(subject, told);
  });
}

function reachRedis(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  const nodes = facts.nodes.map((node): Judgement => {
    const { address, role, reach } = node;
    const subject = formatHostPort(address);
    const trouble = troubleWith(node);
    if (trouble === undefined) {
      return ok(subject, `the ${role} answers${'seen' in reach ? ` after ${spanText(reach.seen)}` : ''}`);
    }
    const told = {
      seen: `the ${role} can't be asked: ${trouble}`,
      why:
        role === 'primary'
          ? 'no lock can be taken or renewed from here'
          : 'if it becomes the primary, no lock can be taken or renewed from here',
      fix: fixForSilent(trouble, redisCli(redis, address, 'PING'), ''),
    };
    return role === 'primary' ? error(subject, told) : warning(subject, told);
  });
  return facts.primary ? nodes : [noPrimary(examined), ...nodes];
}

function noPrimary({ redis }: Examined): Judgement {
  const addresses: readonly HostPort[] = redis.kind === 'sentinel' ? redis.sentinels : [redis.address];
  const [first] = addresses;
  return error('deployment', {
    seen: 'no Sentinel that can be asked names a primary',
    why: 'Leasehold has no Redis to work with, and the nodes could not be examined',
    fix: first
      ? sentinelCli(redis, first, `SENTINEL MASTER ${masterNameOf(redis)}`)
      : 'list the Sentinels in redis.address',
  });
}

function reachAnnounced({ facts }: Examined): readonly Judgement[] {
  return facts.announcedSentinels.map(({ address, reach }) => {
    const subject = formatHostPort(address);
    if ('seen' in reach) {
      return info(subject, {
        seen: "the Sentinels name this Sentinel, and redis.address doesn't list it",
        why: "it counts for the majority, but Leasehold doesn't ask it",
        fix: `add ${subject} to redis.address, or write there the address that the Sentinels announce`,
      });
    }
    return warning(subject, {
      seen: `the Sentinels name this Sentinel, and it can't be reached from here: ${reach.unseen}`,
      why: 'it counts for the majority, but never answers',
      fix: 'if it is gone for good, call SENTINEL RESET at the others, one at a time; else set sentinel announce-ip to an address that all can reach',
    });
  });
}

/** Why nothing can be done with the node; a right that is missing is told by `rights-to-look`. */
export function troubleWith({ reach, info: text }: RedisNodeFacts): string | undefined {
  if ('unseen' in reach) return reach.unseen;
  if ('unseen' in text) return /NOPERM/.test(text.unseen) ? undefined : text.unseen;
  if (text.seen.get('redis_mode') === 'sentinel') return 'it is a Sentinel, not a Redis';
  return text.seen.get('loading') === '1' ? 'it is still loading its data from its disk' : undefined;
}

function fixForSilent(reason: string, ping: string, masterName: string): string {
  if (/No such master/i.test(reason)) {
    return `set redis.master_name to a name that the Sentinels know ("${masterName}" is none), or monitor it there`;
  }
  if (/WRONGPASS|NOAUTH|NOPERM/.test(reason))
    return 'compare the user and the password in the configuration (docs/redis-acl.md)';
  if (/certificate|self-signed|SSL|TLS|wrong version number/i.test(reason))
    return 'compare the tls settings with the certificates (docs/configuration.md)';
  if (/unknown command .?sentinel/i.test(reason)) {
    return 'with redis.failover_cluster: true, list Sentinels alone in redis.address: this is a Redis';
  }
  if (/is a Sentinel|unknown command .?select/i.test(reason)) {
    return 'set redis.failover_cluster: true and redis.master_name, or give the address of the Redis';
  }
  if (/loading/i.test(reason))
    return `wait until it has; look how far it is: ${ping.replace(/PING$/, 'INFO persistence')}`;
  if (/^BUSY/.test(reason)) return `end the script that blocks it: ${ping.replace(/PING$/, 'SCRIPT KILL')}`;
  return `start it, or open the way to it; try: ${ping}`;
}
