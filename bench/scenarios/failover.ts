// Kills a primary under load, and measures when what goes on again: callers contend through two servers for two locks,
// one caller keeps a lease, and Sentinel finds a new primary. It also checks what must hold meanwhile: one holder at a
// time, no lease lost, no call that hangs. It takes part only in a full run, because the quarantine takes most of its
// time.
import { setTimeout as sleep } from 'node:timers/promises';
import { quarantineMs } from '../../src/domain/safety.ts';
import { eventually } from '../../test/support/eventually.ts';
import { LockLoad } from '../../test/support/lock-load.ts';
import { TestClient } from '../../test/support/test-instance.ts';
import { median } from '../figures.ts';
import type { Rig } from '../rig.ts';
import type { Scenario } from '../scenario.ts';

const DOWN_AFTER_MS = 1_000;
const MAX_TTL_MS = 9_000;
const COMMAND_TIMEOUT_MS = 1_000;
/** How much longer than the command timeout a call can take. */
const SLACK_MS = 1_000;
const SETTINGS = {
  LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
  LEASEHOLD_LOCKS_DEFAULT_TTL: '2s',
  LEASEHOLD_REDIS_COMMAND_TIMEOUT: `${COMMAND_TIMEOUT_MS}ms`,
};
const WARM_UP_MS = 3_000;
const WITHIN_MS = 60_000;

/** All counted from the kill. */
interface Moments {
  readonly namedMs: number;
  readonly renewedMs: number;
  readonly grantedMs: number;
}

export const failover: Scenario = {
  name: 'failover',
  title: `The primary is killed under load (down-after ${DOWN_AFTER_MS / 1_000} s, max_ttl ${MAX_TTL_MS / 1_000} s)`,
  async run(rig, { quick }) {
    if (quick) {
      console.log('  only in a full run');
      return [];
    }
    const rounds: Moments[] = [];
    while (rounds.length < 3) rounds.push(await round(rig));
    const of = (moment: (moments: Moments) => number): number => median(rounds.map(moment));
    const toPassMs = of(({ namedMs }) => namedMs) + quarantineMs(MAX_TTL_MS);
    return [
      {
        name: 'until a Sentinel majority names another',
        unit: 'ms',
        value: of(({ namedMs }) => namedMs),
        better: 'less',
      },
      {
        name: 'until a lease is renewed again',
        unit: 'ms',
        value: of(({ renewedMs }) => renewedMs),
        floor: of(({ namedMs }) => namedMs),
        budget: { of: 'value', atMost: DOWN_AFTER_MS + 2_500 },
        better: 'less',
      },
      {
        name: 'until the next grant (floor: named, and the quarantine)',
        unit: 'ms',
        value: of(({ grantedMs }) => grantedMs),
        floor: toPassMs,
        ratio: of(({ grantedMs }) => grantedMs) / toPassMs,
        better: 'less',
      },
    ];
  },
};

async function round(rig: Rig): Promise<Moments> {
  const backend = await rig.sentinel(DOWN_AFTER_MS);
  const servers = [await rig.leasehold(backend, SETTINGS), await rig.leasehold(backend, SETTINGS)];
  const clients = servers.map(({ address }) => new TestClient(address));
  const load = await LockLoad.start({
    clients,
    workers: 6,
    resources: ['a', 'b'],
    ttlMs: 2_000,
    keptTtlMs: MAX_TTL_MS,
  });
  await sleep(WARM_UP_MS);
  const old = await backend.cluster.primary();
  await old.process.kill();
  const killedMs = performance.now();
  await backend.cluster.waitForNewPrimary(old, WITHIN_MS);
  const namedMs = performance.now();
  // The request follows the kill, so an answer that was under way doesn't count.
  const renewal = await eventually(
    () =>
      load.calls.find(
        ({ rpc, outcome, sentAtMs }) => rpc === 'Renew' && outcome === 'OK' && sentAtMs > killedMs,
      ) ?? false,
    { what: 'a renewal after the kill', withinMs: WITHIN_MS },
  );
  const grant = await eventually(() => load.grantsSince(killedMs)[0] ?? false, {
    what: 'a grant after the kill',
    withinMs: WITHIN_MS,
  });
  await load.stop();
  const violations = load.violations(COMMAND_TIMEOUT_MS + SLACK_MS);
  if (violations.length > 0) throw new Error(violations.join('\n'));
  for (const client of clients) client.close();
  for (const server of servers) await server.stop();
  await backend.cluster.stop();
  return {
    namedMs: namedMs - killedMs,
    renewedMs: renewal.endedAtMs - killedMs,
    grantedMs: grant.receivedAtMs - killedMs,
  };
}
