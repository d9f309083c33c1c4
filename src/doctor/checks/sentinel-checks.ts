// Would the Sentinels notice a dead primary, agree on it, and be able to replace it?

import { addressIn, flagsIn, type SentinelView } from '../../deployment/topology.ts';
import { formatHostPort, type HostPort, hostPortIdentity } from '../../domain/host-port.ts';
import { error, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, seenOf } from '../facts.ts';
import { masterNameOf, sentinelAdminCli, sentinelCli } from '../redis-cli-text.ts';

const FEWEST = 3;

export const SENTINEL_CHECKS: readonly Check[] = [
  {
    name: 'sentinel-count',
    about: 'There are at least three Sentinels, an odd number, and `redis.address` lists them all.',
    judge: sentinelCount,
  },
  {
    name: 'hosts',
    about: 'No two Sentinels, and no two Redis nodes, share a host.',
    judge: hosts,
  },
  {
    name: 'same-primary',
    about: 'All Sentinels name the same primary, under the same epoch.',
    judge: samePrimary,
  },
  {
    name: 'sentinel-quorum',
    about: '`SENTINEL CKQUORUM` says at each that a failover could be decided.',
    judge: sentinelQuorum,
  },
  {
    name: 'sentinel-state',
    about: 'No Sentinel is in TILT mode, or takes a member for dead.',
    judge: sentinelState,
  },
];

/** The Sentinels that answered. */
export function viewsOf({ facts }: Examined): readonly SentinelView[] {
  return facts.sentinels.flatMap(({ view }) => seenOf(view) ?? []);
}

/** How many there are: those of the configuration or those that they know themselves, if that is more. */
export function countOf(examined: Examined): number {
  const known = viewsOf(examined).map(({ primary }) => Number(primary.get('num-other-sentinels')) + 1);
  return Math.max(examined.facts.sentinels.length, ...known.filter((count) => count > 0));
}

export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

function sentinelCount(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  if (redis.kind !== 'sentinel') return [];
  const [listed, count] = [facts.sentinels.length, countOf(examined)];
  const subject = 'redis.address';
  const findings: Judgement[] = [];
  if (count < FEWEST) {
    findings.push(
      warning(subject, {
        seen: `there ${count === 1 ? 'is one Sentinel' : `are ${count} Sentinels`}`,
        why: 'when one of them is away no majority is left: Leasehold does not serve, and no failover is possible',
        fix: 'run three Sentinels, on three machines',
      }),
    );
  } else if (count % 2 === 0) {
    findings.push(
      warning(subject, {
        seen: `there are ${count} Sentinels, an even number`,
        why: `${majorityOf(count)} must agree, so they bear no more losses than ${count - 1} do, and can split into halves`,
        fix: 'run one more, or one fewer (then SENTINEL RESET at the others, one at a time)',
      }),
    );
  }
  if (listed < count) {
    const told = {
      seen: `redis.address lists ${listed} of ${count} Sentinels`,
      why: `${majorityOf(count)} of them must confirm the primary, and Leasehold asks only those that are listed`,
      fix: 'list all Sentinels in redis.address; one that is gone for good leaves with SENTINEL RESET at the others, one at a time',
    };
    findings.push(listed < majorityOf(count) ? error(subject, told) : warning(subject, told));
  }
  return findings.length > 0 ? findings : [ok(subject, `${count} Sentinels, all of them listed`)];
}

function hosts(examined: Examined): readonly Judgement[] {
  if (examined.redis.kind !== 'sentinel') return [];
  const { sentinels, nodes } = examined.facts;
  return [
    shared(
      sentinels.map(({ address }) => address),
      'Sentinels',
      'when that machine is gone, the majority may be gone with it',
    ),
    shared(
      nodes.map(({ address }) => address),
      'Redis nodes',
      'when that machine is gone, so are all their copies of the data',
    ),
  ].flat();
}

function shared(addresses: readonly HostPort[], what: string, why: string): readonly Judgement[] {
  if (addresses.length === 0) return [];
  const groups = Map.groupBy(addresses, ({ host }) => host.toLowerCase());
  const crowded = [...groups].filter(([, all]) => all.length > 1);
  if (crowded.length === 0) return [ok('deployment', `the ${what} are on ${groups.size} hosts`)];
  const seen = crowded.map(([host, all]) => `${all.length} ${what} are on ${host}`).join(', ');
  return [warning('deployment', { seen, why, fix: `move the ${what} to machines that don't fail together` })];
}

function samePrimary(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  const views = viewsOf(examined);
  if (views.length === 0) return [];
  const claims = Map.groupBy(views, claimOf);
  const needed = majorityOf(countOf(examined));
  const most = Math.max(...[...claims.values()].map((all) => all.length));
  if (claims.size === 1 && most >= needed) {
    return [ok('deployment', `${most} Sentinels name ${[...claims.keys()].join()}`)];
  }
  const seen = [...claims]
    .map(([claim, all]) => `${all.map(({ address }) => formatHostPort(address)).join(' and ')} name ${claim}`)
    .join('; ');
  const fix = views
    .map(({ address }) => sentinelCli(redis, address, `SENTINEL MASTER ${masterNameOf(redis)}`))
    .join('; ');
  if (claims.size === 1) return []; // reach-sentinels tells of those that are silent
  if (most >= needed) {
    const why = "after a failover this lasts some seconds; longer, and the Sentinels don't hear each other";
    return [warning('deployment', { seen, why, fix })];
  }
  const why = `no ${needed} of them agree: nobody can confirm the primary, and Leasehold does not serve`;
  return [error('deployment', { seen, why, fix })];
}

function claimOf({ primary }: SentinelView): string {
  const address = addressIn(primary);
  return `${address ? hostPortIdentity(address) : 'nobody'} (epoch ${primary.get('config-epoch') ?? '?'})`;
}

function sentinelQuorum({ redis, facts }: Examined): readonly Judgement[] {
  return facts.sentinels.flatMap(({ address, quorumCheck }) => {
    if ('unseen' in quorumCheck) return [];
    const subject = formatHostPort(address);
    if (quorumCheck.seen.startsWith('OK')) return [ok(subject, quorumCheck.seen)];
    return [
      error(subject, {
        seen: quorumCheck.seen,
        why: 'when the primary dies now, no failover is decided',
        fix: `start the missing Sentinels, then ${sentinelCli(redis, address, `SENTINEL CKQUORUM ${masterNameOf(redis)}`)}`,
      }),
    ];
  });
}

function sentinelState(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  return facts.sentinels.flatMap(({ address, view, info: text }) => {
    const seen = seenOf(view);
    if (!seen) return [];
    const subject = formatHostPort(address);
    const findings: Judgement[] = [];
    if (seenOf(text)?.get('sentinel_tilt') === '1') {
      findings.push(
        warning(subject, {
          seen: 'the Sentinel is in TILT mode',
          why: 'its clock stepped or its machine stopped: it takes part in no failover for 30 s',
          fix: 'wait for 30 s without another step; put its clock under NTP, and look for a machine without CPU time',
        }),
      );
    }
    const flags = flagsIn(seen.primary);
    if (flags.includes('o_down') || flags.includes('s_down')) {
      findings.push(
        error(subject, {
          seen: `the Sentinel takes the primary for dead (${flags.join(', ')})`,
          why: "a failover is about to begin, or can't be decided",
          fix: `look whether the primary runs: ${sentinelCli(redis, address, `SENTINEL MASTER ${masterNameOf(redis)}`)}`,
        }),
      );
    }
    findings.push(...deadMembers(examined, seen));
    return findings.length > 0 ? findings : [ok(subject, 'it takes no member for dead')];
  });
}

/** Members that a Sentinel still knows and doesn't hear of. */
function deadMembers(
  { redis }: Examined,
  { address, replicas, otherSentinels }: SentinelView,
): readonly Judgement[] {
  const subject = formatHostPort(address);
  const reset = sentinelAdminCli(redis, address, `SENTINEL RESET ${masterNameOf(redis)}`);
  const dead = [
    ...replicas.map((row) => ({ row, what: 'replica' })),
    ...otherSentinels.map((row) => ({ row, what: 'Sentinel' })),
  ].filter(({ row }) => flagsIn(row).some((flag) => flag === 's_down' || flag === 'disconnected'));
  return dead.map(({ row, what }) => {
    const member = addressIn(row);
    const name = member ? formatHostPort(member) : 'without an address';
    return warning(subject, {
      seen: `it takes the ${what} ${name} for dead (${flagsIn(row).join(', ')})`,
      why:
        what === 'replica'
          ? "a failover can't choose it"
          : 'it counts for the majority, and its vote is missing',
      fix: `start it; if it is gone for good, at each Sentinel, one at a time: ${reset}`,
    });
  });
}
