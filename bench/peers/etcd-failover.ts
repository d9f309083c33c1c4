// Kills the leader of an etcd cluster, and measures when a lock client that knows the other members is granted a lock
// that nobody holds. What Leasehold's failover is compared with; etcd has no quarantine.
import { eventually } from '../../test/support/eventually.ts';
import { median } from '../figures.ts';
import type { Rig } from '../rig.ts';
import type { Found } from '../scenario.ts';
import { etcdLocks } from './etcd-peer.ts';
import { program } from './installed.ts';

const TRY_EVERY_MS = 25;
const GRANTED_WITHIN_MS = 30_000;

export async function etcdFailovers(rig: Rig, rounds: number): Promise<readonly Found[]> {
  const etcd = await program('etcd');
  if (!etcd) return [];
  const took: number[] = [];
  while (took.length < rounds) {
    const cluster = await rig.etcdCluster(etcd);
    const { others } = await cluster.killLeader();
    const killedMs = performance.now();
    took.push((await firstGrant(others)) - killedMs);
    await cluster.stop();
  }
  return [
    {
      name: 'etcd, three members, the leader killed: first new grant',
      unit: 'ms',
      value: median(took),
      better: 'less',
    },
  ];
}

/** Tries it at each member every few milliseconds, whether or not the try before was answered. */
async function firstGrant(members: readonly string[]): Promise<number> {
  let grantedMs: number | undefined;
  const trying: Promise<void>[] = [];
  const tryAt = async (member: string): Promise<void> => {
    const locks = await etcdLocks(member);
    try {
      await (await locks.caller(trying.length)).acquire();
      grantedMs ??= performance.now();
    } finally {
      locks.close();
    }
  };
  return eventually(
    () => {
      for (const member of members) trying.push(tryAt(member).catch(() => undefined));
      return grantedMs ?? false;
    },
    { what: 'a grant by etcd', withinMs: GRANTED_WITHIN_MS, everyMs: TRY_EVERY_MS },
  );
}
