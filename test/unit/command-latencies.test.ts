// Which commands make up a family, and what its latency is.
import { expect, test } from 'vitest';
import { familyLatencies } from '../../src/monitoring/command-latencies.ts';
import { infoFields } from '../../src/store/redis/info.ts';

test('a family has the highest of its commands at each percentile, and a command of no family is among the others', () => {
  const info = infoFields(
    [
      '# Latencystats',
      'latency_percentiles_usec_evalsha:p50=20.1,p99=100,p99.9=300',
      'latency_percentiles_usec_eval:p50=10,p99=200,p99.9=250',
      'latency_percentiles_usec_wait:p50=500,p99=900,p99.9=1000',
      'latency_percentiles_usec_publish:p50=1,p99=2,p99.9=3',
      'latency_percentiles_usec_client|setname:p50=4,p99=5,p99.9=6',
      'latency_percentiles_usec_evalx:p50=2,p99=9,p99.9=9',
      'used_memory:1',
    ].join('\r\n'),
  );
  const found = familyLatencies(info).map(({ family, quantile, seconds }) => [
    family,
    quantile,
    Math.round(seconds * 1e7) / 10,
  ]);
  expect(found).toEqual([
    ['scripts', '0.5', 20.1],
    ['scripts', '0.99', 200],
    ['scripts', '0.999', 300],
    ['replication', '0.5', 500],
    ['replication', '0.99', 900],
    ['replication', '0.999', 1000],
    ['pubsub', '0.5', 1],
    ['pubsub', '0.99', 2],
    ['pubsub', '0.999', 3],
    ['other', '0.5', 4],
    ['other', '0.99', 9],
    ['other', '0.999', 9],
  ]);
});

test('a Redis that tracks no latencies has none', () => {
  expect(familyLatencies(infoFields('# Latencystats\r\n'))).toEqual([]);
});

test.each([
  ['scripts', ['eval', 'evalsha', 'eval_ro', 'evalsha_ro', 'fcall', 'fcall_ro']],
  ['replication', ['replconf', 'psync', 'sync', 'wait', 'waitaof']],
  ['pubsub', ['publish', 'spublish', 'subscribe', 'psubscribe', 'unsubscribe', 'pubsub|numsub']],
  ['other', ['script|load', 'hget', 'info', 'syncer', 'ping']],
])('the family %s', (family, commands) => {
  for (const command of commands) {
    const found = familyLatencies(new Map([[`latency_percentiles_usec_${command}`, 'p50=1']]));
    expect(found.map((one) => one.family)).toEqual([family]);
  }
});
