// One lock or operation that changes, and many watchers on one server: what a message costs, and when the last watcher
// has it. The server asks Redis once for all of them. It reads a change at once, and gathers what follows within 50 ms:
// these changes come further apart. The floor (watch-floor-server.ts) tells its watchers at once too, without a store.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { ofMany } from '../figures.ts';
import type { Changes, Watched } from '../loads/watchers.ts';
import { measured } from '../measured.ts';
import type { Backend, Rig } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const WATCHERS = [1, 10, 100, 1_000];
const WARM_UP_CHANGES = 5;
const IDLE_MS = 1_000;

/** What an idle server with these watches uses is subtracted. */
interface Sample {
  readonly seen: Changes;
  readonly cpuUs: number;
  readonly redisCommandsPerChange: number;
}

export const watch: Scenario = {
  name: 'watch',
  title: 'From a change of one lock or operation to all who watch it',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const leasehold = await rig.leasehold(backend);
    const floor = await rig.watchFloor();
    const changes = quick ? 20 : 60;
    const found: Found[] = [];
    for (const what of ['locks', 'operations'] as const) {
      let fewest: number | undefined;
      for (const watchers of quick ? [1, 1_000] : WATCHERS) {
        const ours = await sampleWatch(rig, leasehold, backend, what, watchers, changes);
        const bare = await sampleWatch(rig, floor, backend, 'locks', watchers, changes);
        fewest ??= ours.redisCommandsPerChange;
        found.push(...figures(what, watchers, ours, bare, fewest));
      }
    }
    return found;
  },
};

export async function sampleWatch(
  rig: Rig,
  server: ServerProcess,
  backend: Backend,
  what: Watched,
  watchers: number,
  times: number,
): Promise<Sample> {
  const generator = rig.generator();
  await generator.order({ kind: 'watchers', address: formatHostPort(server.address), what, watchers });
  await generator.order({ kind: 'change', times: WARM_UP_CHANGES });
  const idle = await measured(server, backend, () => sleep(IDLE_MS));
  const used = await measured(server, backend, () => generator.order<Changes>({ kind: 'change', times }));
  await generator.order({ kind: 'stop-watching' });
  await generator.close();
  const idles = used.seen.tookMs / IDLE_MS;
  return {
    seen: used.seen,
    cpuUs: used.cpuUs - idles * idle.cpuUs,
    redisCommandsPerChange: (used.redisCommands - idles * idle.redisCommands) / times,
  };
}

function figures(
  what: Watched,
  watchers: number,
  ours: Sample,
  floor: Sample,
  fewest: number,
): readonly Found[] {
  const named = (figure: string) => ofMany(watchers, `watchers of ${what}`, figure);
  const against = (of: (sample: Sample) => number) => ({
    value: of(ours),
    floor: of(floor),
    ratio: of(ours) / of(floor),
  });
  const isMany = watchers >= 1_000;
  return [
    {
      // With few watchers, it is what the change itself costs.
      ...against(({ cpuUs, seen }) => cpuUs / seen.messages),
      ...named('server CPU per message'),
      unit: 'us',
      ...(isMany ? { steady: 'ratio' as const } : {}),
      better: 'less',
    },
    {
      ...against(({ seen }) => seen.all.p50Ms),
      ...named('from the call to the last message, p50'),
      unit: 'ms',
      ...(watchers === 1 ? { budget: { of: 'value' as const, atMost: 10 } } : {}),
      better: 'less',
    },
    {
      ...named('from the reply to the last message, p50'),
      unit: 'ms',
      value: ours.seen.fromReply.p50Ms,
      better: 'less',
    },
    {
      ...named('from the reply to the last message, p99'),
      unit: 'ms',
      value: ours.seen.fromReply.p99Ms,
      better: 'less',
    },
    {
      ...named('Redis commands per change'),
      unit: '',
      value: ours.redisCommandsPerChange,
      floor: fewest,
      ratio: ours.redisCommandsPerChange / fewest,
      budget: { of: 'ratio', atMost: 1.1 },
      better: 'less',
    },
    {
      ...named('messages per watcher and change'),
      unit: '',
      value: ours.seen.messages / (watchers * ours.seen.changes),
      budget: { of: 'value', atMost: 1.1 },
      better: 'less',
    },
  ];
}
