// How far a replica is behind, as its primary says, or as it says itself.
import { expect, test } from 'vitest';
import { replicationLags } from '../../src/monitoring/replication-lag.ts';
import { infoFields } from '../../src/store/redis/info.ts';

const [A, B, C] = [1, 2, 3].map((port) => ({ host: '10.0.0.1', port }));

test('a replica lags by what its primary has not heard from it, and a detached one by what it lacks itself', () => {
  const reading = (address: typeof A, text: string): Parameters<typeof replicationLags>[0][number] => ({
    address: address ?? { host: '', port: 0 },
    info: infoFields(text.replaceAll('\n', '\r\n')),
    latencies: [],
    slowlogLength: undefined,
  });
  const primary = reading(
    A,
    'role:master\nmaster_replid:r\nmaster_repl_offset:1000\nslave0:ip=10.0.0.1,port=2,state=online,offset=400,lag=3',
  );
  const attached = reading(B, 'role:slave\nmaster_replid:r\nslave_repl_offset:900');
  const detached = (replid: string): typeof primary =>
    reading(
      C,
      `role:slave\nmaster_replid:${replid}\nslave_repl_offset:100\nmaster_link_down_since_seconds:40`,
    );
  expect(replicationLags([primary, attached, detached('r')])).toEqual([
    { node: '10.0.0.1:3', bytes: 900, seconds: 40 },
    { node: '10.0.0.1:2', bytes: 600, seconds: 3 },
  ]);
  // Its history is another one: nobody can say how many bytes it lacks.
  expect(replicationLags([primary, detached('other')])[0]).toEqual({
    node: '10.0.0.1:3',
    bytes: undefined,
    seconds: 40,
  });
});
