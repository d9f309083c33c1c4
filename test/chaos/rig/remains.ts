// What is still there when nobody uses the service any more: calls and leases in the servers, keys in Redis. Owns the
// wait until everything that ends by time has ended, and the list of what has to stay; the checker decides whether the
// rest is a leak.
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../history.ts';
import type { Rig } from './chaos-rig.ts';
import type { RunHistory } from './run-history.ts';

/** A waiter whose client was killed is forgotten 30 s after it last asked, a lease after its TTL. */
const GONE_WITHIN_MS = 45_000;
const LOOKED_EVERY_MS = 500;
/** `meta`, the registry, the absent instances and the reports of contention for a minute, and the records of operations. */
const STAYS =
  /\{\d+\}:(meta|instances|absent|contention|operations|operation-deadlines|open|claims|(operation|claimable):.*)$/s;

/** Waits until nothing is left, or as long as that may take, and records what is left. */
export async function recordRemains(rig: Rig, history: RunHistory): Promise<void> {
  const untilMs = nowMs() + GONE_WITHIN_MS;
  let keys = await leftKeys(rig);
  while (keys.length > 0 && nowMs() < untilMs) {
    await sleep(LOOKED_EVERY_MS);
    keys = await leftKeys(rig);
  }
  await recordHoldings(rig, history);
  history.write({ kind: 'left-keys', atMs: nowMs(), keys });
}

/** What the servers hold now. The first look, before anybody uses them, is what the last is compared with. */
export async function recordHoldings(rig: Rig, history: RunHistory): Promise<void> {
  for (const server of rig.servers) {
    const metrics = await server.metrics();
    const value = (name: string): number => metrics.get(name) ?? Number.NaN;
    history.write({
      kind: 'leftovers',
      atMs: nowMs(),
      server: server.name,
      waitingCalls: value('leasehold_waiting_calls'),
      keptLeases: value('leasehold_kept_leases'),
      watches: value('leasehold_watches'),
      openCalls:
        value('leasehold_waiting_claims') +
        value('leasehold_operation_waits') +
        value('leasehold_kept_attempts'),
      rssBytes: value('process_resident_memory_bytes'),
    });
  }
}

async function leftKeys(rig: Rig): Promise<readonly string[]> {
  const primary = await rig.primary();
  const keys = await primary.call('KEYS', '*');
  return (Array.isArray(keys) ? keys.map(String) : []).filter((key) => !STAYS.test(key)).sort();
}
