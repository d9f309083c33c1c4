// One client with many leases and as many waiting calls, whose connections all break at once: how long it takes until
// every lease has a stream again, and how many leases that costs. There is no floor: it is about order, not about cost.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { ofMany } from '../figures.ts';
import type { Reconnected } from '../loads/reconnect.ts';
import type { Rig } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const TTL_MS = 20_000;

export const reconnect: Scenario = {
  name: 'reconnect',
  title: 'One client with leases and as many waiting calls, whose connections break',
  async run(rig, { quick }) {
    const found: Found[] = [];
    for (const count of quick ? [1_000] : [1_000, 10_000])
      found.push(...figures(count, await cut(rig, count)));
    return found;
  },
};

async function cut(rig: Rig, count: number): Promise<Reconnected> {
  const backend = await rig.redis();
  const server = await rig.leasehold(backend);
  const proxy = await TcpProxy.start({ target: server.address });
  try {
    const generator = rig.generator();
    await generator.order({ kind: 'crowd', address: formatHostPort(proxy), count, ttlMs: TTL_MS });
    const seen = generator.order<Reconnected>({ kind: 'reconnected' });
    proxy.drop();
    const reconnected = await seen;
    await generator.order({ kind: 'disperse' });
    await generator.close();
    await server.stop();
    await backend.redis.stop();
    return reconnected;
  } finally {
    await proxy.close();
  }
}

function figures(count: number, { leasesMs, waitersMs, lost }: Reconnected): readonly Found[] {
  const name = (what: string) => ofMany(count, 'leases', what);
  return [
    {
      ...name('leases lost'),
      unit: '',
      value: lost,
      budget: { of: 'value', atMost: 0 },
      better: 'less',
    },
    {
      ...name('until every lease has a stream again'),
      unit: 'ms',
      value: leasesMs,
      // With less than half of a TTL there is time for a second break.
      budget: { of: 'value', atMost: TTL_MS / 2 },
      better: 'less',
    },
    {
      ...name('until every waiting call has its place again'),
      unit: 'ms',
      value: waitersMs,
      better: 'less',
    },
  ];
}
