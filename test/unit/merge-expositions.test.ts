// One text for Prometheus out of several: metric families go together, and every series is there unchanged.
import { expect, test } from 'vitest';
import { mergeExpositions } from '../../src/admin/merge-expositions.ts';
import { Metrics } from '../../src/admin/metrics.ts';

test('metric families that both texts have go together, in the order in which they first appear', () => {
  const one =
    '# HELP a A\n# TYPE a counter\na{worker="1"} 1\n\n# HELP b B\n# TYPE b gauge\nb{worker="1"} Nan\n';
  const two = '# HELP b B\n# TYPE b gauge\nb{worker="2"} 3\n\n# HELP c C\n# TYPE c gauge\n';
  expect(mergeExpositions([one, two])).toBe(
    [
      '# HELP a A\n# TYPE a counter\na{worker="1"} 1\n',
      '# HELP b B\n# TYPE b gauge\nb{worker="1"} Nan\nb{worker="2"} 3\n',
      '# HELP c C\n# TYPE c gauge\n',
    ].join('\n'),
  );
  expect(mergeExpositions([one])).toBe(one);
  expect(mergeExpositions([])).toBe('');
});

test('no line of real server processes is lost, and each metric family has one header', async () => {
  const texts = await Promise.all(
    ['1', '2'].map((worker) => {
      const metrics = new Metrics(worker);
      metrics.calls.callEnded('Acquire', 'OK', 2);
      metrics.store.commandEnded('acquire-lock', 'granted', 1);
      return metrics.text();
    }),
  );
  const samples = (text: string): string[] => text.split('\n').filter((line) => /^[a-z]/.test(line));
  const merged = mergeExpositions(texts);
  expect(samples(merged).toSorted()).toEqual(texts.flatMap(samples).toSorted());
  expect(samples(merged).filter((line) => !/[{,]worker="[12]"/.test(line))).toEqual([]);
  const headers = merged.split('\n').filter((line) => line.startsWith('#'));
  expect(new Set(headers).size).toBe(headers.length);
  expect(merged).toContain('leasehold_calls_total{method="Acquire",code="OK",worker="2"} 1');
});
